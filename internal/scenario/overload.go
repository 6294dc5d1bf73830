package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/fakedownstream"
)

var overloadScenario = Scenario{
	Name:  "overload",
	Claim: "a downstream does its best under any load",
	Doc: `An HTTP server that serves 240 requests a second, and fewer the more it is asked at once, gets 2, 5
and 10 times that from 20 tenants; 200 workers, timeout 1 s, the limit and the breaker that are
the default. Goodput is answers within 500 ms. Then the load ends, the server becomes
four times as slow for a while, and well again: what the overflow lanes pull must follow. Last
the same with on_overflow: hold, where the main lane must.`,
	Run: overload,
}

const (
	overloadWorkers = 200
	overloadTenants = 20
	overloadTimeout = time.Second
	overloadWarm    = 2 * time.Second
	overloadLook    = 4 * time.Second
	overloadLeast   = 0.95
	overloadSlow    = 4               // times
	overloadPhase   = 3 * time.Second // of which the second half counts
	pullsDown       = 0.5
	pullsUp         = 0.75
)

// A dam is a downstream behind consumers that are offered more than it can do.
type dam struct {
	bed    *bed
	down   *fakedownstream.Downstream
	server *fakedownstream.Server
	caller *caller
}

func newDam(ctx context.Context, r *Rig) (*dam, error) {
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	d := &dam{bed: bed}
	if d.down, err = fakedownstream.New(fakedownstream.Config{Thrash: 0.1, Seed: r.cfg.Seed}); err != nil {
		return nil, err
	}
	if d.server, err = fakedownstream.Start("127.0.0.1:0", d.down); err != nil {
		return nil, err
	}
	d.caller = newCaller(d.server.URL())
	return d, nil
}

func (d *dam) close(ctx context.Context) error {
	d.caller.close()
	d.server.Close()
	return d.bed.drop(ctx)
}

// start starts Spillway in front of the downstream.
func (d *dam) start(ctx context.Context, p consumer.TenantPolicy, b consumer.Buffer) (*session, error) {
	mux := new(consumer.Mux)
	mux.Route(consumer.Route{
		Subject: ">", Downstream: "api", Timeout: overloadTimeout,
		Handler: consumer.HandlerFunc(func(ctx context.Context, _ *consumer.Message) error { return d.caller.call(ctx) }),
	})
	return d.bed.ours(ctx, consumer.Config{Durable: "ours", Workers: overloadWorkers, Tenants: p, Buffer: b, DrainTimeout: 100 * time.Millisecond}, mux)
}

// offer publishes so many times what the downstream can do, until stop is called.
func (d *dam) offer(ctx context.Context, load float64) (stop func() error) {
	c := d.bed.newCrowd(overloadTenants, time.Duration(float64(time.Second)/(load*d.down.Capacity())))
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var err error
	wg.Go(func() { err = c.publish(ctx, time.Hour) })
	return func() error {
		cancel()
		wg.Wait()
		if errors.Is(err, context.Canceled) {
			return nil
		}
		return err
	}
}

// goodput returns how many good answers there are in a second.
func (d *dam) goodput(ctx context.Context) (float64, error) {
	r := d.bed.rig
	if err := pause(ctx, r.Span(overloadWarm, 100*time.Millisecond)); err != nil {
		return 0, err
	}
	before, began := d.down.Stats().Good, time.Now()
	err := pause(ctx, r.Span(overloadLook, 200*time.Millisecond))
	return float64(d.down.Stats().Good-before) / time.Since(began).Seconds(), err
}

func overload(ctx context.Context, r *Rig) ([]Row, error) {
	plain, err := overloadPlain(ctx, r, 10)
	if err != nil {
		return nil, err
	}
	var rows []Row
	for _, load := range []float64{2, 5, 10} {
		r.Say("%v × what the downstream can do", load)
		more, err := overloadOurs(ctx, r, load)
		if err != nil {
			return rows, err
		}
		if load == 10 {
			more[0] = more[0].beside(plain)
		}
		rows = append(rows, more...)
	}
	held, err := overloadHold(ctx, r)
	return append(rows, held...), err
}

func overloadPlain(ctx context.Context, r *Rig, load float64) (f Figure, err error) {
	r.Say("the plain consumer, %v × what the downstream can do", load)
	d, err := newDam(ctx, r)
	if err != nil {
		return f, err
	}
	defer func() { err = errors.Join(err, d.close(ctx)) }()
	run, err := d.bed.plain(ctx, "plain", byHand{Workers: overloadWorkers, Handle: func(m jetstream.Msg) {
		limited, cancel := context.WithTimeout(ctx, overloadTimeout)
		defer cancel()
		if d.caller.call(limited) == nil {
			_ = m.Ack() // what is not acked comes again
			return
		}
		_ = m.NakWithDelay(outageNak)
	}})
	if err != nil {
		return f, err
	}
	stop := d.offer(ctx, load)
	good, err := d.goodput(ctx)
	err = errors.Join(err, stop())
	run.stop()
	return ofRate(good), err
}

// overloadOurs returns the goodput at a load; at the highest also how the pulls follow.
func overloadOurs(ctx context.Context, r *Rig, load float64) (rows []Row, err error) {
	d, err := newDam(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close(ctx)) }()
	s, err := d.start(ctx, consumer.TenantPolicy{}, consumer.Buffer{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	stop := d.offer(ctx, load)
	meter := newPullMeter(ctx, s)
	defer meter.stop()
	good, err := d.goodput(ctx)
	if err := errors.Join(err, stop()); err != nil {
		return nil, err
	}
	capacity := d.down.Capacity()
	row := Row{
		Claim: fmt.Sprintf("%v × the load that a downstream can do: goodput", load), Ours: ofRate(good),
		Bound:   fmt.Sprintf("≥ %.0f %% of its best (%v)", 100*overloadLeast, ofRate(capacity)),
		Verdict: judge(good >= overloadLeast*capacity),
	}
	rows = []Row{row.noting("%.1f %% of its best", 100*good/capacity)}
	if load < 10 {
		return rows, nil
	}
	more, err := d.follow(ctx, meter, consumer.LaneOverflow, "pulls of the overflow lanes")
	rows = append(append(rows, more...), atMost("buffer in use, at most", ofShare(meter.most()), ofShare(1)).must())
	return rows, err
}

// overloadHold is a backlog that nothing moves aside.
func overloadHold(ctx context.Context, r *Rig) (rows []Row, err error) {
	r.Say("on_overflow: hold")
	d, err := newDam(ctx, r)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, d.close(ctx)) }()
	phases := 3*r.Span(overloadPhase, 400*time.Millisecond) + overloadWarm
	backlog := int(d.down.Capacity()*phases.Seconds()) + 1000
	// Small bounds: the lane pulls at once what they have room for, and waits until half of it
	// is worked off. What is pulled in a second must not depend on which second that was.
	const tenants, queue, buffer = 5, 16, 64
	if err := d.bed.fillTenants(ctx, backlog, tenants, racePayload); err != nil {
		return nil, err
	}
	s, err := d.start(ctx, consumer.TenantPolicy{OnOverflow: consumer.OverflowHold, Queue: queue}, consumer.Buffer{Messages: buffer})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	meter := newPullMeter(ctx, s)
	defer meter.stop()
	if err := pause(ctx, r.Span(overloadWarm, 100*time.Millisecond)); err != nil {
		return nil, err
	}
	return d.follow(ctx, meter, consumer.LaneMain, "with on_overflow hold, pulls of the main lane")
}

// follow lets the downstream become slow and well again, and compares what is pulled.
func (d *dam) follow(ctx context.Context, m *pullMeter, lane consumer.Lane, what string) ([]Row, error) {
	var rates [3]float64
	for i, f := range []fakedownstream.Fault{{}, {Kind: fakedownstream.Slow, Factor: overloadSlow}, {}} {
		if err := d.down.SetFault(f); err != nil {
			return nil, err
		}
		half := d.bed.rig.Span(overloadPhase, 400*time.Millisecond) / 2
		if err := pause(ctx, half); err != nil {
			return nil, err
		}
		before, began := m.pulled(lane), time.Now()
		if err := pause(ctx, half); err != nil {
			return nil, err
		}
		rates[i] = float64(m.pulled(lane)-before) / time.Since(began).Seconds()
	}
	best := d.down.Capacity()
	down, up := Row{
		Claim: what + " while it is slow", Ours: ofRate(rates[1]), Verdict: judge(rates[1] <= pullsDown*rates[0]),
		Bound: fmt.Sprintf("≤ %.0f %% of before (%v)", 100*pullsDown, ofRate(rates[0])),
	}, Row{
		Claim: what + " when it is well again", Ours: ofRate(rates[2]), Verdict: judge(rates[2] >= pullsUp*best),
		Bound: fmt.Sprintf("≥ %.0f %% of what it can do (%v)", 100*pullsUp, ofRate(best)),
	}
	return []Row{down, up}, nil
}

// A pullMeter counts what lanes pull. Overflow lanes come and go, so it looks often.
type pullMeter struct {
	s      *session
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mu   sync.Mutex // guards the fields below
	last map[string]uint64
	sum  map[consumer.Lane]uint64
	used float64 // the largest share of the buffer
}

const pullTick = 20 * time.Millisecond

func newPullMeter(ctx context.Context, s *session) *pullMeter {
	ctx, cancel := context.WithCancel(ctx)
	m := &pullMeter{s: s, cancel: cancel, last: make(map[string]uint64), sum: make(map[consumer.Lane]uint64)}
	m.ended.Go(func() {
		for ctx.Err() == nil {
			m.look()
			_ = pause(ctx, pullTick) // ctx tells
		}
	})
	return m
}

func (m *pullMeter) look() {
	now := m.s.Snapshot()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, l := range now.Lanes {
		if l.Pulled < m.last[l.Consumer] { // another one of this name
			m.last[l.Consumer] = 0
		}
		m.sum[l.Lane] += l.Pulled - m.last[l.Consumer]
		m.last[l.Consumer] = l.Pulled
	}
	m.used = max(m.used, float64(now.Held)/float64(now.HeldMax), float64(now.HeldBytes)/float64(now.HeldBytesMax))
}

func (m *pullMeter) pulled(lane consumer.Lane) uint64 {
	m.look()
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.sum[lane]
}

func (m *pullMeter) most() float64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

func (m *pullMeter) stop() {
	m.cancel()
	m.ended.Wait()
}
