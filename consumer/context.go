package consumer

import (
	"context"
	"sync"
	"time"
)

// runContext is the context of one run of a handler. The contexts of the standard
// library register with their parent and start timers when they are made; most
// handlers of small work never look at theirs, so this one becomes real when it is
// first used. It is a [context.Context] in every respect, the cause included.
type runContext struct {
	parent   context.Context
	deadline time.Time // zero: none

	mu    sync.Mutex
	state *runState // nil until somebody looks or ends it
}

// runState is what a runContext is once it matters. It is guarded by the context's mu.
type runState struct {
	real   context.Context // nil until first used
	cancel context.CancelCauseFunc
	stop   context.CancelFunc
	cause  error     // why it was ended, if it was
	at     time.Time // when
}

var _ context.Context = (*runContext)(nil)

// begin prepares the context for a run. A delivery may run more than once, one run
// after another: a requeued message begins anew.
func (c *runContext) begin(parent context.Context, deadline time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.parent, c.deadline, c.state = parent, deadline, nil
}

// end ends the context for cause. The first cause counts.
func (c *runContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == nil {
		c.state = new(runState)
	}
	if c.state.cause == nil {
		c.state.cause, c.state.at = cause, time.Now()
	}
	c.release(cause)
}

// free gives up what the context holds, after the run. It has no cause then.
func (c *runContext) free() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != nil {
		c.release(nil)
	}
}

// release requires that mu is held and state is not nil.
func (c *runContext) release(cause error) {
	if c.state.cancel != nil {
		c.state.cancel(cause)
	}
	if c.state.stop != nil {
		c.state.stop()
	}
}

// ended returns the cause given to end, if any.
func (c *runContext) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == nil {
		return nil
	}
	return c.state.cause
}

// endedAt returns since when the context has been over, or the zero time.
func (c *runContext) endedAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.state != nil && !c.state.at.IsZero():
		return c.state.at
	case !c.deadline.IsZero() && time.Now().After(c.deadline):
		return c.deadline
	}
	return time.Time{}
}

// Deadline implements [context.Context].
func (c *runContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done implements [context.Context].
func (c *runContext) Done() <-chan struct{} { return c.materialize().Done() }

// Err implements [context.Context].
func (c *runContext) Err() error { return c.materialize().Err() }

// Value implements [context.Context].
func (c *runContext) Value(key any) any { return c.materialize().Value(key) }

func (c *runContext) materialize() context.Context {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state == nil {
		c.state = new(runState)
	}
	s := c.state
	if s.real != nil {
		return s.real
	}
	s.real, s.cancel = context.WithCancelCause(c.parent)
	if !c.deadline.IsZero() {
		s.real, s.stop = context.WithDeadline(s.real, c.deadline)
	}
	if s.cause != nil {
		s.cancel(s.cause)
	}
	return s.real
}
