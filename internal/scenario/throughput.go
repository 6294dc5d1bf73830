package scenario

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

var throughputScenario = Scenario{
	Name:  "throughput",
	Claim: "everything on costs no throughput",
	Doc: `Drains a backlog of 200,000 messages of 128 bytes with handlers that do nothing: Spillway with
tenants, fairness, leases, metrics, a concurrency limit and a breaker, and the plain consumer,
in turns, 16 workers each. A race ends when the server knows every message as done. What
counts is the median of the ratios of all rounds.`,
	Run: throughput,
}

const (
	raceWorkers    = 16
	racePayload    = 128
	raceAckPending = 65_536 // of both; it is what Spillway sets
	raceTime       = 30 * time.Second
	raceStalls     = 3 // so often the plain consumer may stall and run again
)

// course is a backlog, with how often it is raced over.
type course struct {
	tenants, rounds int
	bound           float64
}

func throughput(ctx context.Context, r *Rig) ([]Row, error) {
	var rows []Row
	for _, c := range []course{{tenants: 100, rounds: 7, bound: 1}, {tenants: 10_000, rounds: 5, bound: 0.8}} {
		row, err := c.race(ctx, r)
		if err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// race lets both run over the same backlog in turns; each round the other begins.
func (c course) race(ctx context.Context, r *Rig) (Row, error) {
	bed, err := r.newBed(ctx)
	if err != nil {
		return Row{}, err
	}
	messages, rounds := r.Count(200_000, 500), r.Count(c.rounds, 1)
	if err := bed.fillTenants(ctx, messages, c.tenants, racePayload); err != nil {
		return Row{}, err
	}
	var ours, plain []float64
	stalled := 0
	for round := range rounds {
		r.Say("%s tenants, round %d of %d", grouped(int64(c.tenants)), round+1, rounds)
		for turn := range 2 {
			if (round+turn)%2 == 0 {
				rate, err := raceOurs(ctx, bed, messages)
				if err != nil {
					return Row{}, fmt.Errorf("spillway: %w", err)
				}
				ours = append(ours, rate)
				continue
			}
			rate, stalls, err := racePlain(ctx, bed, messages)
			if err != nil {
				return Row{}, fmt.Errorf("plain consumer: %w", err)
			}
			plain, stalled = append(plain, rate), stalled+stalls
		}
	}
	row := Row{
		Claim: fmt.Sprintf("throughput, %s tenants", grouped(int64(c.tenants))),
		Plain: ofRate(median(plain)), Ours: ofRate(median(ours)), Ratio: median(ratios(ours, plain)),
		Bound: fmt.Sprintf("ratio ≥ %.1f", c.bound),
	}
	row.Verdict = judge(row.Ratio >= c.bound)
	if stalled > 0 {
		row = row.noting("the plain consumer stalled %d times and ran again", stalled)
	}
	return row, bed.drop(ctx)
}

// finish line of a race.
type line struct {
	ledger *ledger
	began  time.Time
}

func newLine(messages int) *line {
	runtime.GC() // nobody pays for who came before
	return &line{ledger: newLedger(messages), began: time.Now()}
}

var errStalled = errors.New("it stalls")

// await waits until every message was handled and the server has every ack, and returns how
// many that were in a second.
func (l *line) await(ctx context.Context, js jetstream.JetStream, stream, durable string) (float64, error) {
	messages := int64(len(l.ledger.times) - 1)
	err := until(ctx, "", raceTime, func() bool { return l.ledger.handled.Load() == messages })
	if err != nil && ctx.Err() == nil {
		return 0, fmt.Errorf("%w: %d of %d handled in %v", errStalled, l.ledger.handled.Load(), messages, raceTime)
	}
	if err != nil {
		return 0, err
	}
	for {
		info, err := consumerInfo(ctx, js, stream, durable)
		if err != nil {
			return 0, err
		}
		if info.NumPending == 0 && info.NumAckPending == 0 {
			return float64(messages) / time.Since(l.began).Seconds(), nil
		}
		if err := pause(ctx, time.Millisecond); err != nil {
			return 0, err
		}
	}
}

// consumerInfo asks the server for the state of a durable.
func consumerInfo(ctx context.Context, js jetstream.JetStream, stream, durable string) (*jetstream.ConsumerInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := js.Consumer(ctx, stream, durable)
	if err != nil {
		return nil, fmt.Errorf("consumer %s: %w", durable, err)
	}
	return c.CachedInfo(), nil
}

func raceOurs(ctx context.Context, bed *bed, messages int) (rate float64, err error) {
	durable := fmt.Sprintf("ours%d", bed.rig.number())
	l := newLine(messages)
	s, err := bed.ours(ctx, consumer.Config{
		Durable: durable, Workers: raceWorkers,
		Downstreams: map[string]consumer.Downstream{consumer.DefaultDownstream: {}},
	}, consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
		l.ledger.note(m.Sequence)
		return nil
	}))
	if err != nil {
		return 0, err
	}
	rate, err = l.await(ctx, s.js, bed.stream, durable)
	err = errors.Join(err, s.stop())
	if again := l.ledger.again.Load(); err == nil && again > 0 {
		err = fmt.Errorf("%d messages were handled twice", again)
	}
	return rate, errors.Join(err, bed.forget(ctx, durable))
}

func racePlain(ctx context.Context, bed *bed, messages int) (rate float64, stalls int, err error) {
	for {
		durable := fmt.Sprintf("plain%d", bed.rig.number())
		l := newLine(messages)
		run, err := bed.plain(ctx, durable, Plain{Workers: raceWorkers, MaxAckPending: raceAckPending, Handle: func(m jetstream.Msg) {
			if meta, err := m.Metadata(); err == nil {
				l.ledger.note(meta.Sequence.Stream)
			}
			_ = m.Ack() // what is not acked is missed at the end
		}})
		if err != nil {
			return 0, stalls, err
		}
		rate, err = l.await(ctx, run.js, bed.stream, durable)
		run.stop()
		if stalls < raceStalls && errors.Is(err, errStalled) {
			stalls++
			continue
		}
		return rate, stalls, errors.Join(err, bed.forget(ctx, durable))
	}
}

// forget removes a durable, and the streams that a Consumer of ours has made.
func (b *bed) forget(ctx context.Context, durable string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	errs := []error{b.rig.js.DeleteConsumer(ctx, b.stream, durable)}
	for _, suffix := range []string{"_OVERFLOW", "_DEAD"} {
		if err := b.rig.js.DeleteStream(ctx, b.stream+suffix); !errors.Is(err, jetstream.ErrStreamNotFound) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
