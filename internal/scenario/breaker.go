package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

var breakerScenario = Scenario{
	Name:  "breaker",
	Claim: "an outage costs no attempts",
	Doc: `400 messages for a downstream that fails each call until 500 ms before its breaker, which is open for 4 s,
tries again; AckWait 1 s. While it is open nothing may run, be handed back or be delivered
again; then one probe must be enough, and every message be handled. The plain consumer naks
what fails with a delay of 500 ms.`,
	Run: breakerOpen,
}

const (
	outageWorkers = 8
	outageWait    = time.Second // AckWait
	outageOpen    = 4 * time.Second
	outageLeast   = 1500 * time.Millisecond // of it: longer than AckWait
	outageEarly   = 500 * time.Millisecond  // before its end, the downstream is well again
	outageNak     = 500 * time.Millisecond
	outageResume  = 250 * time.Millisecond
	outageService = 2 * time.Millisecond
	outageMoment  = 100 * time.Millisecond // in which what was admitted before it opened may begin
)

var errOutage = errors.New("the downstream is out")

// An outage watches a Consumer through an outage of its downstream.
type outage struct {
	lasts time.Duration // the breaker's open time, at least
	well  atomic.Bool

	mu       sync.Mutex // guards the fields below
	open     bool
	opened   chan struct{} // closed when the breaker opens first
	turns    []consumer.BreakerTurned
	at       []time.Time // of turns
	ranOpen  int         // runs that began while it was open
	naks     int         // deliveries that were settled, but by an ack, while it was open
	probes   int         // runs that began since it was half-open, until one had succeeded
	halfOpen bool
	resumed  time.Time // the first success
}

func (o *outage) observer() consumer.Observer {
	return consumer.Observer{BreakerTurned: o.turned, Settled: o.settled}
}

func (o *outage) turned(e consumer.BreakerTurned) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.To == consumer.BreakerOpen && len(o.turns) == 0 {
		close(o.opened)
	}
	o.turns, o.at = append(o.turns, e), append(o.at, time.Now())
	o.open, o.halfOpen = e.To == consumer.BreakerOpen, e.To == consumer.BreakerHalfOpen
}

func (o *outage) settled(e consumer.Settled) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open && e.Lane == consumer.LaneMain && e.Outcome != consumer.OutcomeAck && e.Outcome != consumer.OutcomeRetry {
		o.naks++
	}
}

// ran notes a run that begins.
func (o *outage) ran() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.open && time.Since(o.at[len(o.at)-1]) > outageMoment {
		o.ranOpen++
	}
	if o.halfOpen && o.resumed.IsZero() { // it closes before anybody is told
		o.probes++
	}
}

// succeeded notes a run that has ended well.
func (o *outage) succeeded() {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.resumed.IsZero() {
		o.resumed = time.Now()
	}
}

func breakerOpen(ctx context.Context, r *Rig) ([]Row, error) {
	messages := r.Count(400, 60)
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	if err := bed.fillTenants(ctx, messages, 10, racePayload); err != nil {
		return nil, err
	}
	lasts := r.Span(outageOpen, outageLeast)
	r.Say("an outage of %v", lasts-outageEarly)
	plain, err := outagePlain(ctx, bed, messages, lasts-outageEarly)
	if err != nil {
		return nil, err
	}
	return outageOurs(ctx, bed, messages, lasts, plain)
}

// outagePlain returns how many attempts fail.
func outagePlain(ctx context.Context, bed *bed, messages int, lasts time.Duration) (Figure, error) {
	var failed atomic.Int64
	ledger, over := newLedger(messages), time.Now().Add(lasts)
	run, err := bed.plain(ctx, "plain", byHand{Workers: outageWorkers, AckWait: outageWait, Handle: func(m jetstream.Msg) {
		time.Sleep(outageService)
		if time.Now().Before(over) {
			failed.Add(1)
			_ = m.NakWithDelay(outageNak) // it comes again without it, too
			return
		}
		if meta, err := m.Metadata(); err == nil {
			ledger.note(meta.Sequence.Stream)
		}
		_ = m.Ack()
	}})
	if err != nil {
		return Figure{}, err
	}
	err = until(ctx, "all are handled", patience, func() bool { return ledger.handled.Load() == int64(messages) })
	run.stop()
	return ofCount(failed.Load()), err
}

func outageOurs(ctx context.Context, bed *bed, messages int, lasts time.Duration, plain Figure) ([]Row, error) {
	o, ledger := &outage{lasts: lasts, opened: make(chan struct{})}, newLedger(messages)
	s, err := bed.ours(ctx, consumer.Config{
		Durable: "ours", Workers: outageWorkers, AckWait: outageWait,
		Downstreams: map[string]consumer.Downstream{consumer.DefaultDownstream: {
			Breaker: consumer.Breaker{MinCalls: 10, Open: lasts},
		}},
	}, consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
		o.ran()
		time.Sleep(outageService)
		if !o.well.Load() {
			return errOutage
		}
		o.succeeded()
		ledger.note(m.Sequence)
		return nil
	}), o.observer())
	if err != nil {
		return nil, err
	}
	err = o.pass(ctx, ledger, messages)
	snap := s.Snapshot()
	if err := errors.Join(err, s.stop()); err != nil {
		return nil, err
	}
	return o.rows(snap, ledger, messages, plain), nil
}

// pass waits for the outage, ends it, and waits until all is handled.
func (o *outage) pass(ctx context.Context, ledger *ledger, messages int) error {
	select {
	case <-o.opened:
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(patience):
		return fmt.Errorf("the breaker does not open within %v", patience)
	}
	o.mu.Lock()
	end := o.turns[0].Until
	o.mu.Unlock()
	if err := pause(ctx, time.Until(end.Add(-outageEarly))); err != nil {
		return err
	}
	o.well.Store(true)
	return until(ctx, "all are handled after the outage", patience, func() bool { return ledger.handled.Load() == int64(messages) })
}

func (o *outage) rows(snap consumer.Snapshot, ledger *ledger, messages int, plain Figure) []Row {
	o.mu.Lock()
	defer o.mu.Unlock()
	main := snap.Lanes[0]
	rows := []Row{
		exact(fmt.Sprintf("breaker open for %v, AckWait %v: attempts spent meanwhile", o.lasts, outageWait), o.ranOpen, 0).beside(plain),
		exact("naks and second deliveries meanwhile", uint64(o.naks)+main.Redelivered+snap.LeasesLost, 0),
		exact("probes until it closed", o.probes, 1),
		exact("not handled, or handled twice", messages-int(ledger.handled.Load())+int(ledger.again.Load()), 0),
	}
	resumed := atMost("handling goes on after the open time within", ofDuration(o.resumed.Sub(o.turns[0].Until)), ofDuration(outageResume))
	return append(rows, resumed)
}
