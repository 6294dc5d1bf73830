package consumer

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// runContext is the context of one run of a handler. The contexts of the standard
// library register with their parent and start timers when they are made; most
// handlers of small work never look at theirs, so this one becomes real when it is
// first used. It is a [context.Context] in every respect, the cause included.
type runContext struct {
	parent   *context.Context         // of all runs; a pointer, as each delivery has a runContext
	deadline time.Time                // zero: none
	state    atomic.Pointer[runState] // nil until somebody looks or ends it
}

var _ context.Context = (*runContext)(nil)

// runState is what a runContext is once it matters.
type runState struct {
	mu     sync.Mutex
	real   context.Context // nil until first used
	cancel context.CancelCauseFunc
	stop   context.CancelFunc
	cause  error     // why it was ended, if it was
	at     time.Time // when
}

// begin prepares the context for its run. Whatever ended it before that, as a lost lease
// may, is for who begins the run to see.
func (c *runContext) begin(parent *context.Context, deadline time.Time) {
	c.parent, c.deadline = parent, deadline
	if c.state.Load() != nil {
		c.state.Store(nil)
	}
}

// beginRun gives d a context for the run that begins. The first has its place in d. A
// later one, after an overload answer, gets its own: a context that was over stays so
// for whoever kept it.
func (d *delivery) beginRun(parent *context.Context, deadline time.Time) {
	if d.overloads == 0 {
		d.firstRun.begin(parent, deadline)
		return
	}
	later := new(runContext)
	later.begin(parent, deadline)
	d.laterRun.Store(later)
}

// run is the context of the present run, or of the last one.
func (d *delivery) run() *runContext {
	if later := d.laterRun.Load(); later != nil {
		return later
	}
	return &d.firstRun
}

// matter returns the state, and makes it if there is none.
func (c *runContext) matter() *runState {
	if s := c.state.Load(); s != nil {
		return s
	}
	c.state.CompareAndSwap(nil, new(runState))
	return c.state.Load()
}

// end ends the context for cause. The first cause counts.
func (c *runContext) end(cause error) {
	s := c.matter()
	if s == over {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cause == nil {
		s.cause, s.at = cause, time.Now()
	}
	s.release(cause)
}

// over is the state of every context that nobody looked at before its run was over. It
// is shared, and never changed.
var over = overState()

func overState() *runState {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(nil)
	return &runState{real: ctx}
}

// free ends the context after the run, without a cause.
func (c *runContext) free() {
	if c.state.CompareAndSwap(nil, over) {
		return
	}
	s := c.state.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.release(nil)
	if s.real == nil { // somebody is about to look
		s.real = over.real
	}
}

// release requires that mu is held.
func (s *runState) release(cause error) {
	if s.cancel != nil {
		s.cancel(cause)
	}
	if s.stop != nil {
		s.stop()
	}
}

// ended returns when the context was ended, and the cause given then, if it was.
func (c *runContext) ended() (at time.Time, cause error) {
	s := c.state.Load()
	if s == nil || s == over {
		return time.Time{}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.at, s.cause
}

// Deadline implements [context.Context].
func (c *runContext) Deadline() (time.Time, bool) { return c.deadline, !c.deadline.IsZero() }

// Done implements [context.Context].
func (c *runContext) Done() <-chan struct{} { return c.materialize().Done() }

// Err implements [context.Context].
func (c *runContext) Err() error { return c.materialize().Err() }

// Value implements [context.Context].
func (c *runContext) Value(key any) any { return c.materialize().Value(key) }

// materialize returns the context of the standard library that c is.
func (c *runContext) materialize() context.Context {
	s := c.matter()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.real != nil {
		return s.real
	}
	s.real, s.cancel = context.WithCancelCause(*c.parent)
	if !c.deadline.IsZero() {
		s.real, s.stop = context.WithDeadline(s.real, c.deadline)
	}
	if s.cause != nil {
		s.cancel(s.cause)
	}
	return s.real
}
