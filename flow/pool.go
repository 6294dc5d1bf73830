package flow

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"
)

// Pool runs jobs on a fixed number of workers, from one bounded queue, first in first out.
// It is safe for concurrent use.
//
// A job that submits to its own Pool should use TrySubmit, or SubmitCtx with the context
// that it got: when every worker waits for room, nobody makes any.
type Pool struct {
	c         PoolConfig
	jobs      chan func(context.Context) // closed when no Submit can be sending any more
	shed      *shedder                   // nil: none
	ctx       context.Context            // of all jobs
	cancel    context.CancelCauseFunc
	abandoned atomic.Bool // Close gave up: what is queued is dropped
	workers   []worker
	done      chan struct{} // closed by the last worker

	_       [64]byte // workers read what is above, submitters write what is below
	gate    gate
	waiting atomic.Int64
	waits   histogram // of the submits that had to wait
	alive   atomic.Int64
	dropped atomic.Uint64
}

// PoolConfig says how a Pool works. The zero value is usable.
type PoolConfig struct {
	Workers int // jobs running at once; 1 to 65,536, default GOMAXPROCS
	Queue   int // jobs that may wait; 1 to 16,777,216, default 256

	// ShedAbove and ResumeBelow are watermarks, in jobs waiting: once more than ShedAbove
	// wait, whatever is submitted is refused with ErrShed until fewer than ResumeBelow do.
	// So no Submit blocks. Both or none are set; ShedAbove is less than Queue, and
	// ResumeBelow from 1 to ShedAbove. Default 0: no shedding, Submit blocks when full.
	ShedAbove, ResumeBelow int

	// OnShed, if not nil, is called when the Pool begins and ends to shed, without a lock
	// held: by a submitter, to whom a panic of it goes, or by a worker, which runs no job
	// meanwhile and tells OnPanic of a panic.
	OnShed func(shedding bool)

	// OnPanic, if not nil, is called on the worker when a job has panicked. The worker goes
	// on either way, and PoolStats.Panicked counts it.
	OnPanic func(v any, stack []byte)
}

const (
	defaultQueue = 256
	maxWorkers   = 1 << 16
	maxQueue     = 1 << 24 // 128 MiB of queue
)

// withDefaults returns c with its zero fields filled in, and all that is wrong with it.
func (c PoolConfig) withDefaults() (PoolConfig, error) {
	err := errors.Join(
		within("PoolConfig.Workers", c.Workers, 0, maxWorkers),
		within("PoolConfig.Queue", c.Queue, 0, maxQueue),
	)
	c.Workers = orDefault(c.Workers, runtime.GOMAXPROCS(0))
	c.Queue = orDefault(c.Queue, defaultQueue)
	if c.sheds() {
		err = errors.Join(err, c.marks().validate("PoolConfig.ShedAbove", "PoolConfig.ResumeBelow"))
		if c.ShedAbove >= c.Queue {
			err = errors.Join(err, fmt.Errorf("PoolConfig.ShedAbove is %d: must be less than Queue, which is %d", c.ShedAbove, c.Queue))
		}
	}
	return c, err
}

func (c PoolConfig) sheds() bool { return c.ShedAbove != 0 || c.ResumeBelow != 0 }

func (c PoolConfig) marks() WatermarkConfig {
	return WatermarkConfig{OnAbove: c.ShedAbove, OffBelow: c.ResumeBelow, OnChange: c.OnShed}
}

// NewPool starts the workers, or returns all that is wrong with c. Close ends them.
func NewPool(c PoolConfig) (*Pool, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("flow: NewPool: %w", err)
	}
	p := &Pool{
		c: c, jobs: make(chan func(context.Context), c.Queue),
		workers: make([]worker, c.Workers), done: make(chan struct{}),
	}
	p.gate.closing = make(chan struct{})
	p.gate.onEmpty = func() { close(p.jobs) } // nobody sends any more
	if c.sheds() {
		p.shed = &shedder{mark: Watermark{c: c.marks()}}
	}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.alive.Store(int64(c.Workers))
	for i := range p.workers {
		go p.work(&p.workers[i])
	}
	return p, nil
}

// Submit queues job, and blocks while the queue is full. Callers that wait are served in
// order. It returns ErrClosed after Close, also to those who wait then, ErrShed while the
// Pool sheds, and ErrNoJob for nil. The context that job gets ends when Close gives up.
func (p *Pool) Submit(job func(ctx context.Context)) error {
	return p.SubmitCtx(context.Background(), job)
}

// SubmitCtx is Submit, but waits no longer than ctx lasts, and returns its error then. ctx
// is for the waiting: a job that was accepted runs, whatever becomes of ctx.
func (p *Pool) SubmitCtx(ctx context.Context, job func(ctx context.Context)) error {
	err := p.enter(job)
	if err != nil {
		return err
	}
	if err = ctx.Err(); err != nil {
		p.gate.leave(&p.gate.cancelled)
		return err
	}
	if err = p.offer(job); err != nil && errors.Is(err, errFull) {
		return p.await(ctx, job)
	}
	return err
}

// TrySubmit queues job if there is room for it now. It returns false when the queue is
// full or sheds, after Close, and for nil.
func (p *Pool) TrySubmit(job func(ctx context.Context)) bool {
	if p.enter(job) != nil {
		return false
	}
	err := p.offer(job)
	if errors.Is(err, errFull) {
		p.gate.leave(&p.gate.rejected)
	}
	return err == nil
}

// enter returns nil if the submit is inside the gate.
func (p *Pool) enter(job func(context.Context)) error {
	if !p.gate.enter() {
		return ErrClosed
	}
	if job == nil {
		p.gate.leave(&p.gate.rejected)
		return ErrNoJob
	}
	return nil
}

// offer queues job if there is room for it now, and leaves the gate, unless it returns
// errFull.
func (p *Pool) offer(job func(context.Context)) error {
	if p.shed != nil {
		return p.offerShedding(job)
	}
	select {
	case p.jobs <- job:
		p.gate.leave(&p.gate.atOnce)
		return nil
	default:
		return errFull
	}
}

// offerShedding leaves the gate before it calls OnShed, which may do as it likes.
func (p *Pool) offerShedding(job func(context.Context)) error {
	turned, err := p.shed.offer(p.jobs, job)
	if err != nil {
		p.gate.leave(&p.gate.rejected)
		return err
	}
	p.gate.leave(&p.gate.atOnce)
	if turned {
		p.shed.mark.announce(true)
	}
	return nil
}

// await queues job when there is room.
func (p *Pool) await(ctx context.Context, job func(context.Context)) (err error) {
	p.waiting.Add(1)
	began := time.Now()
	outcome := &p.gate.late
	select {
	case p.jobs <- job:
	case <-p.gate.closing:
		outcome, err = &p.gate.rejected, ErrClosed
	case <-ctx.Done():
		outcome, err = &p.gate.cancelled, ctx.Err()
	}
	p.waits.observe(time.Since(began))
	p.waiting.Add(-1)
	p.gate.leave(outcome)
	return err
}
