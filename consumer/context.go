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

	mu     sync.Mutex
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
	c.parent, c.deadline = parent, deadline
	c.real, c.cancel, c.stop, c.cause, c.at = nil, nil, nil, nil, time.Time{}
}

// end ends the context for cause; a nil cause only frees what it holds. The first
// cause counts.
func (c *runContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.cause == nil && cause != nil {
		c.cause, c.at = cause, time.Now()
	}
	if c.real == nil {
		return
	}
	c.cancel(cause)
	if c.stop != nil {
		c.stop()
	}
}

// ended returns the cause given to end, if any.
func (c *runContext) ended() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.cause
}

// endedAt returns since when the context has been over, or the zero time.
func (c *runContext) endedAt() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case !c.at.IsZero():
		return c.at
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
	if c.real != nil {
		return c.real
	}
	parent := c.parent
	if parent == nil { // used before its run began
		parent = context.Background()
	}
	c.real, c.cancel = context.WithCancelCause(parent)
	if !c.deadline.IsZero() {
		c.real, c.stop = context.WithDeadline(c.real, c.deadline)
	}
	if c.cause != nil {
		c.cancel(c.cause)
	}
	return c.real
}
