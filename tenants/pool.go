package tenants

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime/debug"
	"sync"
	"time"
)

// Pool runs jobs of many tenants on a few shared workers, fairly by worker-time: whoever
// floods it waits for itself. It needs no broker. It is safe for concurrent use.
type Pool struct {
	queues  *Queues[func(context.Context)]
	onPanic func(tenant string, v any, stack []byte)
	ctx     context.Context // of all jobs
	cancel  context.CancelCauseFunc
	workers sync.WaitGroup
	closing chan struct{} // closed when Close begins
	begun   sync.Once
	lines   lines
}

// PoolConfig says how a Pool works. The zero value is usable.
type PoolConfig struct {
	Workers  int // jobs running at once; default 4
	Queue    int // jobs one tenant may have waiting; default 16
	Messages int // jobs that may wait over all tenants; default 65,536

	Default   Policy                         // of every tenant; its Queue is the field above
	PolicyFor func(tenant string, p *Policy) // as Config.PolicyFor

	// OnPanic, if not nil, is called on the worker when a job has panicked. The worker goes
	// on either way.
	OnPanic func(tenant string, v any, stack []byte)
}

const (
	defaultWorkers  = 4
	defaultPrivate  = 16
	defaultPoolSize = 1 << 16
)

// NewPool starts the workers, or returns all that is wrong with c. Close ends them.
func NewPool(c PoolConfig) (*Pool, error) {
	err := errors.Join(
		atLeastZero("PoolConfig.Workers", int64(c.Workers)),
		atLeastZero("PoolConfig.Queue", int64(c.Queue)),
		atLeastZero("PoolConfig.Messages", int64(c.Messages)),
	)
	if c.Default.Queue != 0 {
		err = errors.Join(err, fmt.Errorf("PoolConfig.Default.Queue is %d: must be 0, set PoolConfig.Queue", c.Default.Queue))
	}
	c.Default.Queue = orDefault(c.Queue, defaultPrivate)
	queues, qerr := NewQueues[func(context.Context)](Config{
		Messages: orDefault(max(0, c.Messages), defaultPoolSize),
		Default:  c.Default, PolicyFor: c.PolicyFor,
	})
	if err = errors.Join(err, qerr); err != nil {
		return nil, fmt.Errorf("tenants: NewPool: %w", err)
	}
	p := &Pool{
		queues: queues, onPanic: c.OnPanic, closing: make(chan struct{}),
		lines: lines{byTenant: make(map[string][]*submitter)},
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	for range orDefault(c.Workers, defaultWorkers) {
		p.workers.Go(p.work)
	}
	return p, nil
}

// Submit queues job, and blocks only its caller, and only while the queue of this tenant
// is full, or the pool as a whole. Callers that wait for one tenant are served in order.
// It returns the error of ctx when ctx ends before, and ErrClosed after Close. The ctx
// that job gets ends when Close gives up, not when the ctx of Submit does.
func (p *Pool) Submit(ctx context.Context, tenant string, job func(ctx context.Context)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !p.lines.has(tenant) {
		if err := p.queue(tenant, job); !errors.Is(err, ErrShed) && !errors.Is(err, ErrFull) {
			return err
		}
	}
	w := p.lines.join(tenant)
	defer p.lines.leave(w)
	for {
		if err := p.await(ctx, w); err != nil {
			return err
		}
		err := p.queue(tenant, job)
		if errors.Is(err, ErrFull) && p.lines.wantAny(w) {
			err = p.queue(tenant, job) // room may have come before it was wanted
		}
		switch {
		case errors.Is(err, ErrFull):
		case errors.Is(err, ErrShed):
			p.lines.wantOwn(w)
		default:
			return err
		}
	}
}

// await returns nil when there may be room for w.
func (p *Pool) await(ctx context.Context, w *submitter) error {
	select {
	case <-w.room:
		return nil
	case <-p.closing:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TrySubmit queues job if there is room for it now. What it refuses is counted for the
// tenant.
func (p *Pool) TrySubmit(tenant string, job func(ctx context.Context)) bool {
	return p.queues.Push(tenant, "", job, 0) == nil
}

// queue does not count a refusal: who is refused waits.
func (p *Pool) queue(tenant string, job func(context.Context)) error {
	return p.queues.push(time.Now(), tenant, "", job, 0, false)
}

// All yields the tenants known; see Queues.All.
func (p *Pool) All() iter.Seq2[string, Stat] { return p.queues.All() }

// Close ends Submit at once, and returns when the jobs queued and running have finished.
// If ctx ends before that, queued jobs are dropped, which Stat.Returned shows, the context
// of the running ones ends, and the error says so. Either way no worker is left when Close
// returns: a job that ignores its context holds it up.
func (p *Pool) Close(ctx context.Context) error {
	p.begun.Do(func() {
		p.queues.seal()
		close(p.closing)
	})
	done := make(chan struct{})
	go func() {
		p.workers.Wait()
		close(done)
	}()
	var err error
	select {
	case <-done:
	case <-ctx.Done():
		select {
		case <-done: // in time after all
		default:
			left := p.queues.Close()
			p.cancel(ErrClosed)
			<-done
			err = fmt.Errorf("tenants: Pool.Close ended early, %d queued jobs dropped: %w", len(left), context.Cause(ctx))
		}
	}
	p.cancel(ErrClosed)
	return err
}

func (p *Pool) work() {
	for {
		j, err := p.queues.Next(context.Background())
		if err != nil {
			return
		}
		p.lines.room(j.Tenant)
		p.run(j)
	}
}

// run survives whatever the job does. A job that ends its goroutine takes the worker with
// it, and another worker takes over.
func (p *Pool) run(j Job[func(context.Context)]) {
	returned := false
	defer func() {
		v := recover()
		p.queues.Done(j)
		switch {
		case returned:
		case v == nil:
			p.workers.Go(p.work)
		case p.onPanic != nil:
			p.onPanic(j.Tenant, v, debug.Stack())
		}
	}()
	j.Value(p.ctx)
	returned = true
}
