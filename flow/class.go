package flow

import (
	"context"
	"sync/atomic"
	"time"
)

// class is a semaphore that counts, and can be closed.
type class struct {
	slots    chan struct{} // as many in it as run
	gate     gate
	waits    histogram
	waiting  atomic.Int64
	executed atomic.Uint64
	panicked atomic.Uint64
	over     atomic.Bool
	onEnd    func() // called once: closed, and nothing runs
}

func newClass(limit int, onEnd func()) *class {
	c := &class{slots: make(chan struct{}, limit), onEnd: onEnd}
	c.gate.closing, c.gate.onEmpty = make(chan struct{}), c.settle
	return c
}

func (c *class) tryAcquire() bool {
	if !c.gate.enter() {
		return false
	}
	select {
	case c.slots <- struct{}{}:
		c.gate.leave(&c.gate.atOnce)
		return true
	default:
		c.gate.leave(&c.gate.rejected)
		return false
	}
}

func (c *class) acquire(ctx context.Context) error {
	if !c.gate.enter() {
		return ErrClosed
	}
	if err := ctx.Err(); err != nil {
		c.gate.leave(&c.gate.cancelled)
		return err
	}
	select {
	case c.slots <- struct{}{}:
		c.gate.leave(&c.gate.atOnce)
		return nil
	default:
		return c.await(ctx)
	}
}

func (c *class) await(ctx context.Context) (err error) {
	c.waiting.Add(1)
	began := time.Now()
	outcome := &c.gate.late
	select {
	case c.slots <- struct{}{}:
	case <-c.gate.closing:
		outcome, err = &c.gate.rejected, ErrClosed
	case <-ctx.Done():
		outcome, err = &c.gate.cancelled, ctx.Err()
	}
	c.waits.observe(time.Since(began))
	c.waiting.Add(-1)
	c.gate.leave(outcome)
	return err
}

func (c *class) release(panicked bool) {
	if panicked {
		c.panicked.Add(1)
	}
	<-c.slots
	c.executed.Add(1)
	if c.gate.sealed.Load() {
		c.settle()
	}
}

// settle requires that the gate is sealed, so that nothing more is accepted. As with the
// gate, who runs last sees that it is sealed, or who seals it sees that nothing runs.
func (c *class) settle() {
	if c.executed.Load() == c.gate.accepted() && c.over.CompareAndSwap(false, true) {
		c.onEnd()
	}
}

func (c *class) stats() ClassStats {
	s := ClassStats{
		Limit: cap(c.slots), InFlight: len(c.slots), Waiting: int(c.waiting.Load()),
		Panicked: c.panicked.Load(), Executed: c.executed.Load(),
	}
	n := c.gate.submits()
	s.Submitted, s.Accepted, s.Rejected, s.Cancelled = n.submitted, n.accepted, n.rejected, n.cancelled
	s.Wait = c.waits.snapshot(n.atOnce)
	return s
}
