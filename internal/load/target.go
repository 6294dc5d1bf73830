package load

import (
	"context"
	"errors"
	"time"
)

// A Target is what gets the load.
type Target interface {
	// Start begins the request of c and returns at once: others are due. What it begins calls
	// c.Done when the request is done. ctx ends when nobody waits for that any more. It is
	// called by one goroutine at a time in an open-loop run, and by several in a closed one.
	Start(ctx context.Context, c *Call)
}

// Request is what a Target is to do.
type Request struct {
	ID     int64     // its place in the schedule, from 0
	Tenant string    // of Tenants.Names
	Due    time.Time // when it was to be sent; latency counts from here
}

// An Auditor is a Target that knows what speaks against the figures of an open-loop run,
// and adds it with Invalidate.
type Auditor interface{ Audit(r *Result) }

// Func is a Target that calls a function, in a goroutine for each request. The function
// returns when the request is done, or soon after ctx has ended, which is after
// Config.Timeout. nil is a success.
type Func func(ctx context.Context, r Request) error

// Start implements Target.
func (f Func) Start(ctx context.Context, c *Call) {
	c.Go(func() {
		ctx, cancel := context.WithDeadline(ctx, c.Deadline())
		defer cancel()
		c.Done(f(ctx, c.Request))
	})
}

// ErrTimeout is how a request ends that was not done within Config.Timeout.
var ErrTimeout = errors.New("not done in time")

// A Call is a request that was sent. It is safe for concurrent use.
type Call struct {
	Request

	run        *run
	sent       time.Time
	stage      int
	tenant     int
	ended      chan struct{} // closed when it is over; nil: nobody asks
	prev, next *Call         // of those in flight, by when they were sent
	over       bool          // these three are guarded by run.mu
}

// Done says that the request is done, with nil, or has failed. Only the first call
// counts, and none after the timeout.
func (c *Call) Done(err error) { c.run.end(c, err, time.Now()) }

// DoneAt is Done with the moment at which it was done, if that is known better.
func (c *Call) DoneAt(t time.Time, err error) { c.run.end(c, err, t) }

// Over reports whether Done has nothing more to say: it was called, or the time is over.
func (c *Call) Over() bool {
	c.run.mu.Lock()
	defer c.run.mu.Unlock()
	return c.over
}

// Deadline is when the request counts as failed.
func (c *Call) Deadline() time.Time { return c.sent.Add(c.run.cfg.Timeout) }

// Go runs f in a goroutine that the run waits for. It must be called by Start.
func (c *Call) Go(f func()) { c.run.calls.Go(f) }
