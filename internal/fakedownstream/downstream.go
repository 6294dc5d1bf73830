package fakedownstream

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"time"
)

// How a call can fail, beside the error of its context.
var (
	ErrOverloaded = errors.New("the downstream is overloaded")                        // HTTP: 429 with Retry-After
	ErrFailed     = errors.New("the downstream failed")                               // HTTP: 500
	ErrDead       = errors.New("the downstream closed the connection with no answer") // HTTP: just that
)

// Downstream is something that is called. It is an http.Handler and safe for concurrent
// use. It starts no goroutine that stays: what is in service is a timer.
type Downstream struct {
	cfg Config

	// mu guards everything below. It is held to decide and to count, never while a call waits.
	mu      sync.Mutex
	rng     *rand.Rand
	fault   Fault
	until   time.Time     // when the fault ends by itself; zero: never
	changed chan struct{} // closed when the next fault is set
	waiting []*call       // first in first out
	serving int
	stats   Stats
}

// A call is in the queue or with a worker.
type call struct {
	arrived time.Time
	left    bool // its caller went away; guarded by Downstream.mu
	done    chan struct{}
}

// New returns a Downstream without a fault, or all that is wrong with c.
func New(c Config) (*Downstream, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("fakedownstream: New: %w", err)
	}
	const stream = 0x5911 // any
	return &Downstream{
		cfg: c, rng: rand.New(rand.NewPCG(c.Seed, stream)), //nolint:gosec // not a secret
		fault: Fault{Kind: None}, changed: make(chan struct{}),
	}, nil
}

// Capacity is how many calls a second it can serve without a fault.
func (d *Downstream) Capacity() float64 { return float64(d.cfg.Workers) / d.cfg.Service.Seconds() }

// SetFault replaces the fault from now on, or returns all that is wrong with f.
func (d *Downstream) SetFault(f Fault) error { return d.setFault(time.Now(), f) }

func (d *Downstream) setFault(now time.Time, f Fault) error {
	f, err := f.check()
	if err != nil {
		return fmt.Errorf("fakedownstream: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault, d.until = f, time.Time{}
	if f.For > 0 {
		d.until = now.Add(f.For)
	}
	close(d.changed)
	d.changed = make(chan struct{})
	return nil
}

// Fault returns what is wrong at present.
func (d *Downstream) Fault() Fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faultAt(time.Now())
}

// faultAt requires mu.
func (d *Downstream) faultAt(now time.Time) Fault {
	if !d.until.IsZero() && !now.Before(d.until) {
		d.fault, d.until = Fault{Kind: None}, time.Time{}
	}
	return d.fault
}

// Call is one call without HTTP: it returns when it was served, refused or failed, or when
// ctx ends. The work for it goes on then, for nobody.
func (d *Downstream) Call(ctx context.Context) error {
	c, hang, err := d.arrive(time.Now())
	switch {
	case err != nil:
		return err
	case hang != nil:
		return d.hang(ctx, hang)
	}
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return d.leave(c, ctx.Err())
	}
}

// A pause is how long a call that hangs does so.
type pause struct {
	changed <-chan struct{}
	length  time.Duration // 0: until changed
}

// arrive takes in a call: what is to be waited for, or how it failed.
func (d *Downstream) arrive(now time.Time) (*call, *pause, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.Offered++
	switch d.faultAt(now).Kind {
	case Error:
		d.stats.Failed++
		return nil, nil, ErrFailed
	case Dead:
		d.stats.Failed++
		return nil, nil, ErrDead
	case Overload:
		d.stats.Refused++
		return nil, nil, ErrOverloaded
	case Hang:
		d.stats.hanging++
		p := &pause{changed: d.changed}
		if !d.until.IsZero() {
			p.length = d.until.Sub(now)
		}
		return nil, p, nil
	case None, Slow:
	}
	if len(d.waiting) >= d.cfg.Queue && d.serving >= d.cfg.Workers {
		d.stats.Refused++
		return nil, nil, ErrOverloaded
	}
	c := &call{arrived: now, done: make(chan struct{})}
	d.waiting = append(d.waiting, c)
	d.serve(now)
	d.stats.Peak = max(d.stats.Peak, d.inside())
	return c, nil, nil
}

// hang waits for nothing.
func (d *Downstream) hang(ctx context.Context, p *pause) error {
	var over <-chan time.Time
	if p.length > 0 {
		timer := time.NewTimer(p.length)
		defer timer.Stop()
		over = timer.C
	}
	err := ErrDead
	select {
	case <-p.changed:
	case <-over:
	case <-ctx.Done():
		err = ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stats.hanging--
	d.stats.Failed++
	return err
}

// leave says that the caller of c went away, unless it was served in this moment.
func (d *Downstream) leave(c *call, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-c.done:
		return nil
	default:
		c.left = true
		return err
	}
}

// serve gives what waits to idle workers, which have been so since at. It requires mu.
func (d *Downstream) serve(at time.Time) {
	for d.serving < d.cfg.Workers && len(d.waiting) > 0 {
		inside := d.inside()
		c := d.waiting[0]
		d.waiting[0] = nil
		d.waiting = d.waiting[1:]
		d.serving++
		begin := at
		if c.arrived.After(at) { // while the timer that made room for it was late
			begin = c.arrived
		}
		end := begin.Add(d.service(begin, inside))
		time.AfterFunc(time.Until(end), func() { d.finish(c, end, time.Now()) })
	}
}

// service draws a service time. It requires mu.
func (d *Downstream) service(now time.Time, inside int) time.Duration {
	s := d.cfg.Service.Seconds() * erlang(d.rng, d.cfg.Shape)
	if f := d.faultAt(now); f.Kind == Slow {
		s *= f.Factor
	}
	workers := float64(d.cfg.Workers)
	s *= 1 + d.cfg.Thrash*max(0, float64(inside)-workers)/workers
	return time.Duration(min(s, maxTime.Seconds()) * float64(time.Second))
}

// finish ends the service of c, which was due at end.
func (d *Downstream) finish(c *call, end, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.serving--
	if c.left {
		d.stats.Abandoned++
	} else {
		d.stats.Served++
		if now.Sub(c.arrived) <= d.cfg.Deadline {
			d.stats.Good++
		}
	}
	close(c.done)
	d.serve(end)
}

// inside requires mu.
func (d *Downstream) inside() int { return len(d.waiting) + d.serving }

// erlang draws from the sum of k exponential times, of mean 1 in all.
func erlang(r *rand.Rand, k int) float64 {
	sum := 0.0
	for range k {
		sum -= math.Log(1 - r.Float64()) // never of 0
	}
	return sum / float64(k)
}
