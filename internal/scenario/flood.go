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

const floodDoc = `A stream holds a flood of one tenant when consuming begins, and 20 quiet tenants publish
beside it, 200 messages a second together, at random moments. 8 workers, handlers of 5 ms. The
flood is skimmed: moved aside, tenant by tenant, into the overflow. What is published after
that must not feel it. Then handlers take no time, and all of the flood must be
handled, each message once. Alone is the same without the flood; the plain consumer gets the
flood, too, and is watched for 3 s.`

var (
	floodScenario = Scenario{
		Name: "flood", Claim: "200,000 messages of one tenant delay no other beyond their skim", Doc: floodDoc,
		Run: func(ctx context.Context, r *Rig) ([]Row, error) { return flood(ctx, r, r.Count(200_000, 2000)) },
	}
	whaleScenario = Scenario{
		Name: "whale", Claim: "neither do a million", Doc: floodDoc,
		Embedded: "it stores a million messages twice",
		Run:      func(ctx context.Context, r *Rig) ([]Row, error) { return flood(ctx, r, r.Count(1_000_000, 4000)) },
	}
)

const (
	floodTenant   = "flood"
	floodWorkers  = 8
	floodService  = 5 * time.Millisecond
	floodQuiet    = 20                   // tenants
	floodGap      = 5 * time.Millisecond // between two messages of theirs
	floodLook     = 4 * time.Second      // after the skim
	floodPlain    = 3 * time.Second
	skimLeast     = 80_000 // messages a second
	floodPatience = time.Minute
)

func flood(ctx context.Context, r *Rig, messages int) ([]Row, error) {
	alone, err := quietAlone(ctx, r, floodService, floodGap, floodWorkers)
	if err != nil {
		return nil, err
	}
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	subject, payload := bed.subject(floodTenant, workKind), make([]byte, racePayload)
	if err := bed.fill(ctx, messages, func(int) (string, []byte) { return subject, payload }); err != nil {
		return nil, err
	}
	plain, err := floodedPlain(ctx, bed)
	if err != nil {
		return nil, err
	}
	f := &flooded{bed: bed, messages: messages, crowd: bed.newCrowd(floodQuiet, floodGap)}
	if err := f.run(ctx); err != nil {
		return nil, err
	}
	return f.rows(alone, plain), nil
}

// quietAlone returns the p99 of a crowd that has Spillway for itself.
func quietAlone(ctx context.Context, r *Rig, service, gap time.Duration, workers int) (p99 time.Duration, err error) {
	r.Say("quiet tenants alone")
	bed, err := r.newBed(ctx)
	if err != nil {
		return 0, err
	}
	c := bed.newCrowd(floodQuiet, gap)
	s, err := bed.ours(ctx, consumer.Config{Durable: "alone", Workers: workers}, handlerFor(func(subject string, _ uint64, data []byte) {
		c.started(data, time.Now())
		time.Sleep(service)
	}))
	if err != nil {
		return 0, err
	}
	from := time.Now()
	err = c.publish(ctx, r.Span(floodLook, 100*time.Millisecond))
	if err == nil {
		err = until(ctx, "quiet tenants alone are handled", patience, func() bool { return c.waiting() == 0 })
	}
	waits, _ := c.since(from, time.Now())
	return quantile(waits, 0.99), errors.Join(err, s.stop(), bed.drop(ctx))
}

// handlerFor is a handler that always succeeds.
func handlerFor(f func(subject string, seq uint64, data []byte)) consumer.Handler {
	return consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
		f(m.Subject, m.Sequence, m.Data)
		return nil
	})
}

// floodedPlain returns the p99 of a crowd beside the flood and the plain consumer.
func floodedPlain(ctx context.Context, bed *bed) (Figure, error) {
	bed.rig.Say("the plain consumer beside the flood")
	c := bed.newCrowd(floodQuiet, floodGap)
	run, err := bed.plain(ctx, "plain", Plain{Workers: floodWorkers, MaxAckPending: raceAckPending, Handle: func(m jetstream.Msg) {
		c.started(m.Data(), time.Now())
		time.Sleep(floodService)
		_ = m.Ack() // what is not acked comes again
	}})
	if err != nil {
		return Figure{}, err
	}
	from := time.Now()
	err = c.publish(ctx, bed.rig.Span(floodPlain, 100*time.Millisecond))
	waits, open := c.since(from, time.Now())
	run.stop()
	return quietFigure(waits, open, 0.99), errors.Join(err, bed.forget(ctx, "plain"), bed.purgeQuiet(ctx))
}

// flooded is Spillway beside the flood.
type flooded struct {
	bed      *bed
	messages int // of the flood
	crowd    *crowd

	service    atomic.Int64 // of a handler
	ledger     *ledger
	began      time.Time
	skimmed    time.Time     // when the main lane had seen the flood
	p99        time.Duration // of quiet messages after the skim
	during     time.Duration // the longest wait of one that was published before
	early      int           // how many were
	missing    int
	used       float64 // the largest share of the buffer that was in use
	held       int
	heldBytes  int64
	ackPending int // the most, as the server counts
	maxPending int // what it allows
}

func (f *flooded) run(ctx context.Context) error {
	last, err := f.bed.last(ctx)
	if err != nil {
		return err
	}
	f.ledger = newLedger(int(last) + 1_000_000) // more than the crowd can publish
	f.service.Store(int64(floodService))
	s, err := f.bed.ours(ctx, consumer.Config{Durable: "ours", Workers: floodWorkers}, handlerFor(func(_ string, seq uint64, data []byte) {
		f.crowd.started(data, time.Now())
		f.ledger.note(seq)
		time.Sleep(time.Duration(f.service.Load()))
	}))
	if err != nil {
		return err
	}
	f.began = time.Now()
	watching, cancel := context.WithCancel(ctx)
	var around sync.WaitGroup
	around.Go(func() { f.watch(watching, s) })
	err = f.phases(ctx, s)
	cancel()
	around.Wait()
	return errors.Join(err, s.stop(), f.bed.drop(ctx))
}

// phases are the skim, the time after it, and the end of the flood.
func (f *flooded) phases(ctx context.Context, s *session) error {
	publishing, silence := context.WithCancel(ctx)
	published := make(chan error, 1)
	go func() { published <- f.crowd.publish(publishing, time.Hour) }()
	f.bed.rig.Say("skimming the flood")
	err := until(ctx, "the skim", floodPatience, func() bool {
		main := s.Snapshot().Lanes[0]
		return main.Pulled >= uint64(f.messages) && main.Pending == 0
	})
	f.skimmed = time.Now()
	if err == nil {
		f.bed.rig.Say("quiet tenants beside the overflow")
		err = pause(ctx, f.bed.rig.Span(floodLook, 200*time.Millisecond))
	}
	silence()
	if e := <-published; e != nil && !errors.Is(e, context.Canceled) {
		err = errors.Join(err, e)
	}
	if err == nil {
		err = until(ctx, "the quiet tenants are handled", patience, func() bool { return f.crowd.waiting() == 0 })
	}
	if err != nil {
		return err
	}
	f.judge()
	f.bed.rig.Say("handling the rest of the flood")
	f.service.Store(0)
	return f.finish(ctx)
}

// judge takes the waits. What the quiet tenants published during the skim is a backlog of
// their own when it ends: who comes behind that waits for it, and for nobody else.
func (f *flooded) judge() {
	after := f.crowd.lastStart(f.skimmed)
	waits, _ := f.crowd.since(after, time.Now())
	f.p99 = quantile(waits, 0.99)
	all, _ := f.crowd.since(f.began, time.Now())
	f.early = len(all) - len(waits)
	f.during = quantile(all[:f.early], 1)
}

// finish waits until everything was handled. That not all of it was is no error here: it is
// what the scenario is about.
func (f *flooded) finish(ctx context.Context) error {
	total := int64(f.messages + f.crowd.count())
	err := until(ctx, "", floodPatience, func() bool { return f.ledger.handled.Load() >= total })
	if ctx.Err() != nil {
		return err
	}
	f.missing = int(total - f.ledger.handled.Load())
	return nil
}

// watch notes the most that was held and unacknowledged, until ctx ends.
func (f *flooded) watch(ctx context.Context, s *session) {
	for ctx.Err() == nil {
		now := s.Snapshot()
		f.held, f.heldBytes = max(f.held, now.Held), max(f.heldBytes, now.HeldBytes)
		f.used = max(f.used, float64(now.Held)/float64(now.HeldMax), float64(now.HeldBytes)/float64(now.HeldBytesMax))
		if info, err := consumerInfo(ctx, f.bed.rig.js, f.bed.stream, "ours"); err == nil {
			f.ackPending, f.maxPending = max(f.ackPending, info.NumAckPending), info.Config.MaxAckPending
		}
		_ = pause(ctx, 20*time.Millisecond) // ctx tells
	}
}

func (f *flooded) rows(alone time.Duration, plain Figure) []Row {
	skim := f.skimmed.Sub(f.began)
	n := grouped(int64(f.messages))
	own := time.Duration(f.early) * floodService / floodWorkers
	during := atMost("the longest wait of one that they published before its end", ofDuration(f.during), ofDuration(skim+2*own+3*alone+floodService))
	during.Bound = fmt.Sprintf("≤ the skim (%s) + 2 × their own work then (%s) + the same", brief(skim), brief(own))
	return []Row{
		quietBound(fmt.Sprintf("%d quiet tenants beside %s of another, p99 of the wait after the skim", floodQuiet, n), f.p99, alone, floodService).beside(plain),
		atLeast("skim of the flood", ofRate(float64(f.messages)/skim.Seconds()), ofRate(skimLeast)),
		during,
		atMost("buffer in use, at most", ofShare(f.used), ofShare(1)).must().
			noting("%s messages, %v", grouped(int64(f.held)), ofBytes(f.heldBytes)),
		atMost("unacknowledged on the server, at most", ofCount(f.ackPending), ofCount(f.maxPending)).must(),
		exact("of these messages, not handled or handled twice", f.missing+int(f.ledger.again.Load()), 0),
	}
}
