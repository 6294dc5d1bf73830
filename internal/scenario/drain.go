package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

var drainScenario = Scenario{
	Name:  "drain",
	Claim: "a stop hands everything back at once",
	Doc: `A consumer with a backlog of 800 messages, 8 workers, handlers of 20 ms and an AckWait of 10 s is
stopped, as by SIGTERM, when a quarter is handled; its drain may take 300 ms, which is too
short for what it holds. The next one starts as soon as it has ended. It must have all that
is left without waiting for any AckWait, and nothing may be handled twice.`,
	Run: drain,
}

const (
	drainWorkers = 8
	drainService = 20 * time.Millisecond
	drainWait    = 10 * time.Second
	drainTime    = 300 * time.Millisecond
	drainSlack   = time.Second
)

// relay is two consumers, one after the other, on one stream.
type relay struct {
	ledger   *ledger
	messages int
	ackWait  time.Duration
	kept     int           // taken by the first, and neither acked nor handed back when it had ended
	left     int           // to be handled, when the second began
	took     time.Duration // by the second, to handle all that was left

	handedBack uint64 // by the first
}

func drain(ctx context.Context, r *Rig) ([]Row, error) {
	messages := r.Count(800, 80)
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	if err := bed.fillTenants(ctx, messages, 10, racePayload); err != nil {
		return nil, err
	}
	r.Say("stopping the plain consumer, and starting the next")
	wait := r.Span(drainWait, leaseWait)
	plain := &relay{ledger: newLedger(messages), messages: messages, ackWait: wait}
	if err := plain.run(ctx, bed, "plain", plain.startPlain); err != nil {
		return nil, fmt.Errorf("plain consumer: %w", err)
	}
	r.Say("stopping Spillway, and starting the next")
	ours := &relay{ledger: newLedger(messages), messages: messages, ackWait: wait}
	if err := ours.run(ctx, bed, "ours", ours.startOurs); err != nil {
		return nil, fmt.Errorf("spillway: %w", err)
	}
	work := time.Duration(ours.left) * drainService / drainWorkers
	took := atMost("the next consumer has the rest handled after", ofDuration(ours.took), ofDuration(work+drainSlack)).beside(ofDuration(plain.took))
	took.Bound = fmt.Sprintf("≤ its work (%s) + %v", brief(work), drainSlack)
	return []Row{
		exact("messages that the stopped process has kept", ours.kept, 0).beside(ofCount(plain.kept)),
		took,
		exact("not handled, or handled twice", messages-int(ours.ledger.handled.Load())+int(ours.ledger.again.Load()), 0).
			beside(ofCount(messages - int(plain.ledger.handled.Load()) + int(plain.ledger.again.Load()))),
	}, nil
}

// run lets a first consumer handle a quarter, stops it, and lets a second one do the rest.
func (y *relay) run(ctx context.Context, bed *bed, durable string, start func(context.Context, *bed) (func() error, error)) error {
	stop, err := start(ctx, bed)
	if err != nil {
		return err
	}
	err = until(ctx, "a quarter is handled", patience, func() bool { return y.ledger.handled.Load() >= int64(y.messages/4) })
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	y.left = y.messages - int(y.ledger.handled.Load())
	if y.kept, err = y.keptOf(ctx, bed, durable); err != nil {
		return err
	}
	began := time.Now()
	stop, err = start(ctx, bed)
	if err != nil {
		return err
	}
	err = until(ctx, "the rest is handled", drainWait+patience, func() bool { return y.ledger.handled.Load() == int64(y.messages) })
	y.took = time.Since(began)
	return errors.Join(err, stop())
}

// keptOf returns how many messages the server takes for those of the consumer that has ended.
// What was handed back counts as unacknowledged until it is delivered again.
func (y *relay) keptOf(ctx context.Context, bed *bed, durable string) (int, error) {
	n, err := unackedOf(ctx, bed, durable, int(y.handedBack))
	return max(n-int(y.handedBack), 0), err
}

func (y *relay) startOurs(ctx context.Context, bed *bed) (func() error, error) {
	s, err := bed.ours(ctx, consumer.Config{Durable: "ours", Workers: drainWorkers, AckWait: y.ackWait, DrainTimeout: drainTime},
		handlerFor(func(_ string, seq uint64, _ []byte) {
			y.ledger.note(seq)
			time.Sleep(drainService)
		}))
	if err != nil {
		return nil, err
	}
	return func() error {
		err := s.stop()
		y.handedBack += settled(s.Snapshot(), consumer.OutcomeHandBack)
		return err
	}, nil
}

func (y *relay) startPlain(ctx context.Context, bed *bed) (func() error, error) {
	run, err := bed.plain(ctx, "plain", byHand{Workers: drainWorkers, AckWait: y.ackWait, Handle: func(m jetstream.Msg) {
		if meta, err := m.Metadata(); err == nil {
			y.ledger.note(meta.Sequence.Stream)
		}
		time.Sleep(drainService)
		_ = m.Ack() // what is not acked comes again
	}})
	if err != nil {
		return nil, err
	}
	return func() error { run.stop(); return nil }, nil
}
