package scenario

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

var slowTenantScenario = Scenario{
	Name:  "slow-tenant",
	Claim: "a tenant whose work is slow takes its share of the workers, not more",
	Doc: `A tenant with handlers of 1 s and one with 8,000 of 10 ms, both with a backlog, equal weights, 16
workers. Worker-time is compared while both have work. Alone is the fast one without the
other; the plain consumer gets the same mixture.`,
	Run: slowTenant,
}

const (
	slowWorkers     = 16
	slowService     = time.Second
	fastService     = 10 * time.Millisecond
	slowName        = "slow"
	fastName        = "fast"
	slowOff         = 0.05
	slowdownMost    = 3
	slowPatience    = time.Minute
	slowPlainLimits = 25 * time.Second
)

// A duel is a slow tenant and a fast one, as one consumer handles them.
type duel struct {
	service  map[string]time.Duration
	fast     int // messages
	left     atomic.Int64
	finished chan struct{} // closed when the fast one has no more

	mu   sync.Mutex // guards runs
	runs []spell
}

// A spell is a run of a handler.
type spell struct {
	tenant       string
	began, ended time.Time
}

func newDuel(fast int, slow time.Duration) *duel {
	d := &duel{
		service: map[string]time.Duration{slowName: slow, fastName: fastService},
		fast:    fast, finished: make(chan struct{}),
	}
	d.left.Store(int64(fast))
	return d
}

// run is a handler.
func (d *duel) run(tenant string) {
	began := time.Now()
	time.Sleep(d.service[tenant])
	d.mu.Lock()
	d.runs = append(d.runs, spell{tenant, began, time.Now()})
	d.mu.Unlock()
	if tenant == fastName && d.left.Add(-1) == 0 {
		close(d.finished)
	}
}

func (d *duel) await(ctx context.Context, most time.Duration) error {
	return until(ctx, "the fast tenant is handled", most, func() bool { return d.left.Load() <= 0 })
}

// took returns how long the fast tenant's messages took together; more is true if they are
// not through.
func (d *duel) took(began, now time.Time) (took time.Duration, more bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	last := began
	for _, r := range d.runs {
		if r.tenant == fastName && r.ended.After(last) {
			last = r.ended
		}
	}
	if d.left.Load() > 0 {
		return now.Sub(began), true
	}
	return last.Sub(began), false
}

// shares returns the worker-time of both between two moments.
func (d *duel) shares(from, to time.Time) (slow, fast time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, r := range d.runs {
		began, ended := r.began, r.ended
		if began.Before(from) {
			began = from
		}
		if ended.After(to) {
			ended = to
		}
		if part := max(ended.Sub(began), 0); r.tenant == slowName {
			slow += part
		} else {
			fast += part
		}
	}
	return slow, fast
}

func slowTenant(ctx context.Context, r *Rig) ([]Row, error) {
	fast, slow := r.Count(8000, 400), r.Span(slowService, 20*time.Millisecond)
	r.Say("the fast tenant alone")
	alone, err := duelAlone(ctx, r, fast, slow)
	if err != nil {
		return nil, err
	}
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	const every = 40 // so often a message is of the slow tenant
	err = bed.fill(ctx, fast+fast/every+slowWorkers, func(i int) (string, []byte) {
		if i < slowWorkers || i%(every+1) == 0 {
			return bed.subject(slowName, workKind), nil
		}
		return bed.subject(fastName, workKind), nil
	})
	if err != nil {
		return nil, err
	}
	fast = countFast(fast+fast/every+slowWorkers, every)
	r.Say("both, with the plain consumer")
	plain, err := duelPlain(ctx, bed, newDuel(fast, slow))
	if err != nil {
		return nil, err
	}
	r.Say("both, with Spillway")
	d := newDuel(fast, slow)
	took, off, err := duelOurs(ctx, bed, d)
	if err != nil {
		return nil, err
	}
	row := Row{
		Claim: fmt.Sprintf("%s messages of %v beside a backlog of %v: all of them took", grouped(int64(fast)), fastService, slow),
		Plain: plain, Ours: ofDuration(took), Ratio: took.Seconds() / plain.Value,
		Bound: fmt.Sprintf("≤ %d × alone (%s)", slowdownMost, brief(alone)), Verdict: judge(took <= slowdownMost*alone),
	}
	return []Row{
		row.noting("%.2f × alone", took.Seconds()/alone.Seconds()),
		atMost("worker-time of both, off their weights by", ofShare(off), ofShare(slowOff)),
	}, nil
}

func countFast(n, every int) (fast int) {
	for i := range n {
		if i >= slowWorkers && i%(every+1) != 0 {
			fast++
		}
	}
	return fast
}

func duelAlone(ctx context.Context, r *Rig, fast int, slow time.Duration) (time.Duration, error) {
	bed, err := r.newBed(ctx)
	if err != nil {
		return 0, err
	}
	err = bed.fill(ctx, fast, func(int) (string, []byte) { return bed.subject(fastName, workKind), nil })
	if err != nil {
		return 0, err
	}
	took, _, err := duelOurs(ctx, bed, newDuel(fast, slow))
	return took, errors.Join(err, bed.drop(ctx))
}

// duelOurs returns how long the fast tenant took, and by how much the worker-time of the two
// differed from equal shares while both had work.
func duelOurs(ctx context.Context, bed *bed, d *duel) (took time.Duration, off float64, err error) {
	began := time.Now()
	s, err := bed.ours(ctx, consumer.Config{Durable: "ours", Workers: slowWorkers},
		handlerFor(func(subject string, _ uint64, _ []byte) { d.run(tenantOf(subject)) }))
	if err != nil {
		return 0, 0, err
	}
	err = d.await(ctx, slowPatience)
	took, _ = d.took(began, time.Now())
	err = errors.Join(err, s.stop())
	slow, fast := d.shares(began, began.Add(took))
	return took, math.Abs(slow.Seconds()-fast.Seconds()) / (slow + fast).Seconds(), err
}

func duelPlain(ctx context.Context, bed *bed, d *duel) (Figure, error) {
	began := time.Now()
	run, err := bed.plain(ctx, "plain", Plain{Workers: slowWorkers, Handle: func(m jetstream.Msg) {
		d.run(tenantOf(m.Subject()))
		_ = m.Ack() // what is not acked comes again
	}})
	if err != nil {
		return Figure{}, err
	}
	_ = d.await(ctx, bed.rig.Span(slowPlainLimits, time.Second)) // how long it takes is the figure
	took, more := d.took(began, time.Now())
	run.stop()
	f := ofDuration(took)
	f.AtLeast = more
	return f, errors.Join(ctx.Err(), bed.forget(ctx, "plain"))
}
