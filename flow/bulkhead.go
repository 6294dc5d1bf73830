package flow

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"runtime/debug"
	"slices"
	"sync/atomic"
)

// Bulkhead runs jobs of several classes, each of which has a limit of its own: a class that
// is full makes its own callers wait, and nobody else. There is no queue: who is not
// running waits in Submit. It is safe for concurrent use.
type Bulkhead struct {
	names   []string // sorted
	classes map[string]*class
	onPanic func(class string, v any, stack []byte)
	ctx     context.Context // of all jobs of Submit
	cancel  context.CancelCauseFunc
	open    atomic.Int64  // classes that have not ended
	done    chan struct{} // closed when all have
}

// BulkheadConfig says which classes a Bulkhead has.
type BulkheadConfig struct {
	// Classes are the jobs of each class that may run at once; 1 to 1,048,576. There must be
	// one class at least.
	Classes map[string]int

	// OnPanic, if not nil, is called when a job of Submit has panicked, by the goroutine of
	// the job, which still counts as running.
	OnPanic func(class string, v any, stack []byte)
}

const maxAtOnce = 1 << 20

func (c BulkheadConfig) validate() error {
	if len(c.Classes) == 0 {
		return errors.New("BulkheadConfig.Classes has 0 classes: must have at least 1")
	}
	var err error
	for _, name := range slices.Sorted(maps.Keys(c.Classes)) {
		err = errors.Join(err, within(fmt.Sprintf("BulkheadConfig.Classes[%q]", name), c.Classes[name], 1, maxAtOnce))
	}
	return err
}

// NewBulkhead returns a Bulkhead, or all that is wrong with c. Close waits for its jobs.
func NewBulkhead(c BulkheadConfig) (*Bulkhead, error) {
	if err := c.validate(); err != nil {
		return nil, fmt.Errorf("flow: NewBulkhead: %w", err)
	}
	b := &Bulkhead{
		names:   slices.Sorted(maps.Keys(c.Classes)),
		classes: make(map[string]*class, len(c.Classes)),
		onPanic: c.OnPanic, done: make(chan struct{}),
	}
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	b.open.Store(int64(len(b.names)))
	for _, name := range b.names {
		b.classes[name] = newClass(c.Classes[name], b.ended)
	}
	return b, nil
}

// ended is called once by each class.
func (b *Bulkhead) ended() {
	if b.open.Add(-1) == 0 {
		b.cancel(ErrClosed)
		close(b.done)
	}
}

// Submit starts job on a goroutine of its own, and blocks while class is full. Callers that
// wait for one class are served in order. It returns ErrClosed after Close, also to those
// who wait then, ErrNoClass for a class that was not configured, and ErrNoJob for nil. The
// context that job gets ends when Close gives up.
func (b *Bulkhead) Submit(class string, job func(ctx context.Context)) error {
	return b.SubmitCtx(context.Background(), class, job)
}

// SubmitCtx is Submit, but waits no longer than ctx lasts, and returns its error then. ctx
// is for the waiting: a job that was accepted runs, whatever becomes of ctx.
func (b *Bulkhead) SubmitCtx(ctx context.Context, class string, job func(ctx context.Context)) error {
	c, err := b.class(class, job == nil)
	if err != nil {
		return err
	}
	if err := c.acquire(ctx); err != nil {
		return err
	}
	go b.run(class, c, job)
	return nil
}

// TrySubmit starts job if its class has room for it now. It returns false if the class is
// full or unknown, after Close, and for nil.
func (b *Bulkhead) TrySubmit(class string, job func(ctx context.Context)) bool {
	c, err := b.class(class, job == nil)
	if err != nil || !c.tryAcquire() {
		return false
	}
	go b.run(class, c, job)
	return true
}

// Do runs f on the caller's goroutine, as one of class, and returns its error. It waits as
// SubmitCtx does, and returns the same errors if f did not run. f gets ctx itself. A panic
// of f is the caller's.
func (b *Bulkhead) Do(ctx context.Context, class string, f func(ctx context.Context) error) error {
	c, err := b.class(class, f == nil)
	if err != nil {
		return err
	}
	if err := c.acquire(ctx); err != nil {
		return err
	}
	returned := false
	defer func() { c.release(!returned) }()
	err = f(ctx)
	returned = true
	return err
}

// TryDo is Do if class has room now; if not, ran is false.
func (b *Bulkhead) TryDo(ctx context.Context, class string, f func(ctx context.Context) error) (ran bool, err error) {
	c, err := b.class(class, f == nil)
	if err != nil {
		return false, err
	}
	if !c.tryAcquire() {
		return false, nil
	}
	returned := false
	defer func() { c.release(!returned) }()
	err = f(ctx)
	returned = true
	return true, err
}

func (b *Bulkhead) class(name string, noJob bool) (*class, error) {
	c, ok := b.classes[name]
	switch {
	case !ok:
		return nil, fmt.Errorf("%w: %q, there are %q", ErrNoClass, name, b.names)
	case noJob:
		return nil, ErrNoJob
	}
	return c, nil
}

// run survives whatever job does.
func (b *Bulkhead) run(name string, c *class, job func(context.Context)) {
	returned := false
	defer func() {
		v := recover()
		defer c.release(!returned)
		if v != nil && b.onPanic != nil {
			b.onPanic(name, v, debug.Stack())
		}
	}()
	job(b.ctx)
	returned = true
}

// Close ends Submit and Do at once, for all classes and also for those who wait, and
// returns nil when all that runs has ended. If ctx ends before that, so does the context of
// jobs, and Close returns an error that wraps the cause of ctx; another Close waits for the
// rest. A job must not call it: it would wait for itself.
func (b *Bulkhead) Close(ctx context.Context) error {
	for _, c := range b.classes {
		c.gate.close()
	}
	select {
	case <-b.done:
		return nil
	default:
	}
	select {
	case <-b.done:
		return nil
	case <-ctx.Done():
	}
	b.cancel(ErrClosed)
	running := 0
	for _, s := range b.Stats() {
		running += s.InFlight
	}
	return fmt.Errorf("flow: Bulkhead.Close ended early, %d jobs running: %w", running, context.Cause(ctx))
}

// ClassStats is the state of one class of a Bulkhead at about one moment. Its counters
// never fall. When nobody is in Submit or Do
//
//	Submitted = Accepted + Rejected + Cancelled
//	Accepted  = Executed + InFlight
type ClassStats struct {
	Limit int // as configured

	Submitted uint64 // calls of Submit, SubmitCtx, TrySubmit, Do and TryDo with a job
	Accepted  uint64 // of these, started
	Rejected  uint64 // of these, refused: full for TrySubmit and TryDo, or closed
	Cancelled uint64 // of these, given up by their context
	Executed  uint64 // jobs that have ended, Panicked included
	Panicked  uint64 // jobs that panicked, or ended their goroutine

	Waiting  int // callers that wait
	InFlight int // jobs that run

	// Wait is how long callers waited: those whose job was started, and those that gave up.
	Wait Histogram
}

// Stats yields the classes in the order of their names.
func (b *Bulkhead) Stats() iter.Seq2[string, ClassStats] {
	return func(yield func(string, ClassStats) bool) {
		for _, name := range b.names {
			if !yield(name, b.classes[name].stats()) {
				return
			}
		}
	}
}
