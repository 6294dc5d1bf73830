package flow

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// Hedge makes the same call a second time, to another replica, when the first takes long,
// and goes by whichever succeeds first. A few calls more buy most of the tail of the
// latency. It is for calls that may run twice, such as reads. One Hedge is for one kind of
// call, as it learns how long that takes. It is safe for concurrent use.
type Hedge[T any] struct {
	c HedgeConfig

	calls, hedges, wins, refused atomic.Uint64

	// mu guards what follows, for some arithmetic at a time.
	mu     sync.Mutex
	times  times
	delay  time.Duration // until a hedge is started; 0: not known yet
	budget budget
}

// HedgeConfig says when a Hedge makes another call. The zero value is usable.
type HedgeConfig struct {
	// Replicas are the calls of one Do, the first included; 2 to 64, default 2.
	Replicas int

	// Delay is from the start of a call to that of the next, if none has ended; at most an
	// hour. With a Quantile it is used as long as that is not known.
	Delay time.Duration

	// Quantile makes the delay follow the times of past calls: 0.95 is what 95 % of them
	// took at most. It is over the last 1,000 to 2,000, known after 20, and within 7 %. From
	// 0.5 to 0.999; default 0.95 if there is no Delay, else none.
	Quantile float64

	// Budget are the hedges for each Do, in the long run, that a Hedge starts at most: what
	// is slow because of overload must not get twice the load. More than 0, at most 64;
	// default 0.1.
	Budget float64

	// Burst are the hedges that may be saved up, and that there are at the beginning; 1 to
	// 1,000,000, default 10. So n calls of Do start Burst + n·Budget hedges at most.
	Burst int
}

const (
	defaultReplicas = 2
	maxReplicas     = 64
	maxDelay        = time.Hour
	defaultQuantile = 0.95
	defaultBudget   = 0.1
	defaultBurst    = 10
	maxBurst        = 1_000_000
)

func (c HedgeConfig) withDefaults() (HedgeConfig, error) {
	c.Replicas = orDefault(c.Replicas, defaultReplicas)
	if c.Delay == 0 {
		c.Quantile = orDefault(c.Quantile, defaultQuantile)
	}
	c.Budget = orDefault(c.Budget, defaultBudget)
	c.Burst = orDefault(c.Burst, defaultBurst)
	err := errors.Join(
		within("HedgeConfig.Replicas", c.Replicas, 2, maxReplicas),
		within("HedgeConfig.Delay", c.Delay, 0, maxDelay),
		within("HedgeConfig.Budget", c.Budget, 1/float64(whole), maxReplicas),
		within("HedgeConfig.Burst", c.Burst, 1, maxBurst),
	)
	if c.Quantile != 0 {
		err = errors.Join(err, within("HedgeConfig.Quantile", c.Quantile, 0.5, 0.999))
	}
	return c, err
}

// NewHedge returns a Hedge, or all that is wrong with c.
func NewHedge[T any](c HedgeConfig) (*Hedge[T], error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("flow: NewHedge: %w", err)
	}
	return &Hedge[T]{c: c, delay: c.Delay, budget: newBudget(c.Budget, c.Burst)}, nil
}

// Do calls f for replica 0, after a delay or a failure also for replica 1, and so on, each
// on a goroutine of its own, and returns the first success. If there is none it returns the
// errors of all calls, joined; a panic is one of them, a *PanicError. When ctx has ended no
// further call is started.
//
// The context of all calls ends with the first success, and Do waits for them: f should
// return when its context ends, and must have read what it needs, such as the body of a
// response, before it returns.
func (h *Hedge[T]) Do(ctx context.Context, f func(ctx context.Context, replica int) (T, error)) (T, error) {
	var none T
	if f == nil {
		return none, ErrNoJob
	}
	if err := ctx.Err(); err != nil {
		return none, err
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &race[T]{h: h, ctx: ctx, f: f, delay: h.begin(), began: time.Now(), finish: make(chan finisher[T], h.c.Replicas)}
	defer r.calls.Wait()
	defer cancel()
	return r.run()
}

// begin returns the delay, 0 if there is none, and earns what one call earns.
func (h *Hedge[T]) begin() time.Duration {
	h.calls.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.budget.earn()
	return h.delay
}

// spend reports whether one more hedge may be started.
func (h *Hedge[T]) spend() bool {
	h.mu.Lock()
	ok := h.budget.spend()
	h.mu.Unlock()
	if !ok {
		h.refused.Add(1)
		return false
	}
	h.hedges.Add(1)
	return true
}

// learn takes the time of a first call. If a hedge has overtaken it, it is the time until
// then: it would have taken longer, and is above the delay anyway, so the quantile is not
// drawn down by the hedges that it causes.
func (h *Hedge[T]) learn(took time.Duration) {
	if h.c.Quantile == 0 {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.times.add(took)
	if h.times.count%refresh != 0 {
		return
	}
	if d, ok := h.times.quantile(h.c.Quantile); ok {
		h.delay = max(d, 1)
	}
}

// HedgeStats is the state of a Hedge at about one moment. Its counters never fall.
type HedgeStats struct {
	Calls   uint64        // calls of Do
	Hedges  uint64        // calls of f beside the first of each Do
	Wins    uint64        // of these, those that succeeded first
	Refused uint64        // hedges that were due and beyond the budget
	Delay   time.Duration // until a hedge is started; 0: not known yet, only failures start one
}

// Stats returns what has happened until now.
func (h *Hedge[T]) Stats() HedgeStats {
	h.mu.Lock()
	delay := h.delay
	h.mu.Unlock()
	return HedgeStats{
		Calls: h.calls.Load(), Wins: h.wins.Load(), Hedges: h.hedges.Load(),
		Refused: h.refused.Load(), Delay: delay,
	}
}

// race is one Do.
type race[T any] struct {
	h      *Hedge[T]
	ctx    context.Context
	f      func(context.Context, int) (T, error)
	delay  time.Duration
	began  time.Time
	finish chan finisher[T] // has room for all
	calls  sync.WaitGroup

	started     int
	errs        []error // of those that have ended
	firstFailed bool    // the call of replica 0
}

type finisher[T any] struct {
	replica int
	v       T
	err     error
}

func (r *race[T]) run() (T, error) {
	var due <-chan time.Time
	var timer *time.Timer
	if r.delay > 0 {
		timer = time.NewTimer(r.delay)
		defer timer.Stop()
		due = timer.C
	}
	r.start()
	for len(r.errs) < r.started {
		select {
		case e := <-r.finish:
			if e.err == nil {
				r.won(e.replica)
				return e.v, nil
			}
			r.firstFailed = r.firstFailed || e.replica == 0
			r.errs = append(r.errs, e.err)
		case <-due:
		}
		if r.hedge() && timer != nil {
			timer.Reset(r.delay)
		}
	}
	var none T
	return none, errors.Join(r.errs...)
}

// hedge starts another call, if there may be one.
func (r *race[T]) hedge() bool {
	if r.started == r.h.c.Replicas || r.ctx.Err() != nil || !r.h.spend() {
		return false
	}
	r.start()
	return true
}

func (r *race[T]) won(replica int) {
	if !r.firstFailed {
		r.h.learn(time.Since(r.began))
	}
	if replica > 0 {
		r.h.wins.Add(1)
	}
}

func (r *race[T]) start() {
	replica := r.started
	r.started++
	r.calls.Go(func() { r.call(replica) })
}

// call finishes whatever f does.
func (r *race[T]) call(replica int) {
	e := finisher[T]{replica: replica, err: errGoexit}
	defer func() {
		if v := recover(); v != nil {
			e.err = &PanicError{Value: v, Stack: debug.Stack()}
		}
		r.finish <- e
	}()
	e.v, e.err = r.f(r.ctx, replica)
}
