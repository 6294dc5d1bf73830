package load

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A Runner makes the load of a Config, any number of times.
type Runner struct {
	cfg      Config
	schedule *Schedule
}

// New returns a Runner, or all that is wrong with c.
func New(c Config) (*Runner, error) {
	c, err := c.withDefaults()
	s, serr := NewSchedule(c.Stages, c.Arrivals, c.Seed, c.Tenants)
	if err = errors.Join(err, serr); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	return &Runner{cfg: c, schedule: s}, nil
}

// Schedule returns when the requests are due.
func (r *Runner) Schedule() *Schedule { return r.schedule }

// Run makes the load and returns what became of it: when all requests are done, at the
// latest MaxDelay and Timeout after the last one was due, or soon after ctx has ended.
func (r *Runner) Run(ctx context.Context, t Target) *Result {
	run := newRun(r.cfg, r.schedule)
	res := run.do(ctx, func(calls context.Context) { run.dispatch(ctx, calls, t) })
	if a, ok := t.(Auditor); ok {
		a.Audit(res)
	}
	return res
}

// How long a run waits for the goroutines of its calls, once it has ended their context.
const grace = 2 * time.Second

// A run is one run of a Runner.
//
// mu guards the fields below it. It is held to count and to link, never while a target or
// a callback runs.
type run struct {
	cfg      Config
	schedule *Schedule
	start    time.Time
	calls    sync.WaitGroup // goroutines of targets
	room     chan struct{}  // a signal after somebody wanted room
	idle     chan struct{}  // a signal when sending is over and nothing is in flight

	mu          sync.Mutex
	first, last *Call // in flight
	inFlight    int
	wanted      bool      // the dispatcher waits for room
	full        time.Time // when there was none at last; what was due until then is late for that
	sentAll     bool
	book        book
}

func newRun(cfg Config, s *Schedule) *run {
	return &run{
		cfg: cfg, schedule: s, start: time.Now(),
		room: make(chan struct{}, 1), idle: make(chan struct{}, 1),
		book: newBook(s),
	}
}

// do sends by send, and waits for what was sent.
func (r *run) do(ctx context.Context, send func(calls context.Context)) *Result {
	calls, end := context.WithCancel(context.WithoutCancel(ctx)) // the run's own end comes first
	defer end()
	var watchers sync.WaitGroup
	watching, stop := context.WithCancel(context.Background())
	watchers.Go(func() { r.expire(watching) })
	if r.cfg.OnProgress != nil {
		watchers.Go(func() { r.report(watching) })
	}
	send(calls)
	r.await(ctx)
	elapsed := time.Since(r.start)
	unfinished := r.abandon()
	end()
	stop()
	watchers.Wait()
	stuck := !r.returned()
	res := r.result(elapsed)
	res.Interrupted = ctx.Err() != nil && (unfinished || elapsed < r.schedule.Duration())
	if stuck {
		res.warn("calls of the target still run %v after their context has ended: what they hold is not given back", grace)
	}
	return res
}

// dispatch sends what is due, until the schedule or ctx ends. What was due when ctx ended
// is dropped by send.
func (r *run) dispatch(ctx, calls context.Context, t Target) {
	var p pacer
	c := r.schedule.begin()
	a, ok := c.next()
	for ok && p.until(ctx, r.start.Add(a.At)) {
		for now := time.Now(); ok && !now.Before(r.start.Add(a.At)); now = time.Now() {
			r.send(ctx, calls, t, a)
			a, ok = c.next()
		}
	}
}

// send starts the request of a, or drops it if that cannot be soon.
func (r *run) send(ctx, calls context.Context, t Target, a Arrival) {
	due := r.start.Add(a.At)
	ok := r.admit(ctx, due)
	r.mu.Lock()
	if !due.After(r.full) {
		r.book.heldBack++
	}
	r.mu.Unlock()
	if !ok {
		r.drop(a, ctx.Err() != nil)
		return
	}
	t.Start(calls, r.begin(a, due, time.Now(), nil))
}

// admit returns when there is room for one more in flight, and false if that is not within
// MaxDelay of due.
func (r *run) admit(ctx context.Context, due time.Time) bool {
	deadline := due.Add(r.cfg.MaxDelay)
	if ctx.Err() != nil || time.Now().After(deadline) {
		return false
	}
	if r.hasRoom() {
		return true
	}
	timeout := time.NewTimer(time.Until(deadline))
	defer timeout.Stop()
	for {
		select {
		case <-r.room:
			if r.hasRoom() {
				return true
			}
		case <-timeout.C:
			return r.hasRoom()
		case <-ctx.Done():
			return false
		}
	}
}

// hasRoom asks to be told if there is none.
func (r *run) hasRoom() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.wanted = r.inFlight >= r.cfg.MaxInFlight
	if r.wanted {
		r.full = time.Now()
	}
	return !r.wanted
}

// drop counts a request that was due and is not sent; cut says that the end of the run is
// the reason.
func (r *run) drop(a Arrival, cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.book.drop(a, cut)
}

// begin counts a request as sent now. ended, if not nil, is closed when it is over.
func (r *run) begin(a Arrival, due, now time.Time, ended chan struct{}) *Call {
	c := &Call{
		Request: Request{ID: a.Index, Tenant: r.schedule.mix.names[a.Tenant], Due: due},
		run:     r, sent: now, stage: a.Stage, tenant: a.Tenant, ended: ended,
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.prev = r.last; c.prev != nil {
		c.prev.next = c
	} else {
		r.first = c
	}
	r.last = c
	r.inFlight++
	r.book.send(a, now.Sub(c.Due), r.inFlight)
	return c
}

// end counts c as done at now.
func (r *run) end(c *Call, err error, now time.Time) {
	label := ""
	if err != nil {
		label = r.label(err) // asks the error, which is not ours
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if c.over {
		return
	}
	r.take(c)
	r.book.end(c, now.Sub(c.Due), err == nil, label)
}

// take removes c from those in flight, and tells who waits for that. It requires mu.
func (r *run) take(c *Call) {
	c.over = true
	if c.ended != nil {
		close(c.ended)
	}
	if c.prev != nil {
		c.prev.next = c.next
	} else {
		r.first = c.next
	}
	if c.next != nil {
		c.next.prev = c.prev
	} else {
		r.last = c.prev
	}
	c.prev, c.next = nil, nil
	r.inFlight--
	if r.wanted {
		r.wanted = false
		signal(r.room)
	}
	if r.sentAll && r.inFlight == 0 {
		signal(r.idle)
	}
}

// signal does not block: one signal is enough for whoever waits.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
