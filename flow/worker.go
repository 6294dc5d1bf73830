package flow

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync/atomic"
)

// worker is what one worker has done. Each is written by its worker alone, on a cache
// line of its own.
type worker struct {
	turns    atomic.Uint64 // one at the start of a job, one at its end: odd while a job runs
	panicked atomic.Uint64
	_        [112]byte
}

// work is a worker, for as long as there are jobs or may be some.
func (p *Pool) work(w *worker) {
	ended := false
	defer func() {
		if !ended { // a job or a callback has ended the goroutine: another takes over
			go p.work(w)
		}
	}()
	for !ended {
		ended = p.serve(w) // false: a job panicked
	}
	if p.alive.Add(-1) == 0 {
		p.cancel(ErrClosed)
		close(p.done)
	}
}

// serve runs jobs until there are no more, or one did not return. One deferred call for
// many jobs is why it is apart from work.
func (p *Pool) serve(w *worker) (ended bool) {
	defer func() {
		if !ended {
			p.broken(w, recover())
		}
	}()
	for job := range p.jobs {
		if p.shed != nil && p.shed.taken(p.jobs) {
			p.resume()
		}
		if p.abandoned.Load() {
			p.dropped.Add(1)
			continue
		}
		w.turns.Add(1)
		job(p.ctx)
		w.turns.Add(1)
	}
	return true
}

// resume tells that the shedding has ended. The worker has a job in its hands, which must
// not be lost when OnShed panics.
func (p *Pool) resume() {
	defer func() {
		if v := recover(); v != nil {
			p.panicked(v)
		}
	}()
	p.shed.mark.announce(false)
}

// broken is for a job that did not return: it panicked, or ended its goroutine.
func (p *Pool) broken(w *worker, panicked any) {
	if w.turns.Load()%2 == 0 { // it has not begun: OnShed ended the goroutine
		p.dropped.Add(1)
		return
	}
	w.panicked.Add(1)
	w.turns.Add(1)
	if panicked != nil {
		p.panicked(panicked)
	}
}

func (p *Pool) panicked(v any) {
	if p.c.OnPanic != nil {
		p.c.OnPanic(v, debug.Stack())
	}
}

// Close ends Submit at once, also for those who wait, and returns nil when the jobs queued
// and running have finished and all workers have ended. If ctx ends before that, queued
// jobs are dropped, which PoolStats.Dropped counts, the context of the running ones ends,
// and Close returns an error that wraps the cause of ctx; workers end as their jobs
// return, and another Close waits for them. A job must not call it: it would wait for
// itself.
func (p *Pool) Close(ctx context.Context) error {
	p.gate.close()
	select {
	case <-p.done:
		return nil
	default:
	}
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
	}
	p.abandoned.Store(true)
	p.drop()
	p.cancel(ErrClosed)
	select {
	case <-p.done: // in time after all
		return nil
	default:
	}
	s := p.Stats()
	return fmt.Errorf("flow: Pool.Close ended early, %d jobs running, %d dropped: %w", s.InFlight, s.Dropped, context.Cause(ctx))
}

// drop empties the queue. What is queued by a submitter that is just leaving is dropped
// by the worker that finds it.
func (p *Pool) drop() {
	for {
		select {
		case _, ok := <-p.jobs:
			if !ok {
				return
			}
			p.dropped.Add(1)
		default:
			return
		}
	}
}

// PoolStats is the state of a Pool at about one moment. Its counters never fall. They are
// read one after another while the Pool works; when nobody is in Submit
//
//	Submitted = Accepted + Rejected + Cancelled
//	Accepted  = Executed + Dropped + Queued + InFlight
type PoolStats struct {
	Workers, Queue int // as configured

	Submitted uint64 // calls of Submit, SubmitCtx and TrySubmit
	Accepted  uint64 // of these, jobs queued
	Rejected  uint64 // of these, refused: full for TrySubmit, shedding, closed, or no job
	Cancelled uint64 // of these, given up by their context
	Executed  uint64 // jobs that have run, Panicked included
	Panicked  uint64 // jobs that panicked, or ended their goroutine
	Dropped   uint64 // jobs that were queued when Close gave up

	Waiting  int  // submitters that wait for room
	Queued   int  // jobs that wait for a worker
	InFlight int  // jobs that run
	Shedding bool // see PoolConfig.ShedAbove

	// Wait is how long submitters waited for room: those that were accepted, most of them
	// after 0 seconds, and those that gave up.
	Wait Histogram
}

// Stats returns what has happened until now.
func (p *Pool) Stats() PoolStats {
	s := PoolStats{Workers: p.c.Workers, Queue: p.c.Queue, Waiting: int(p.waiting.Load())}
	for i := range p.workers {
		w := &p.workers[i]
		s.Panicked += w.panicked.Load()
		turns := w.turns.Load()
		s.Executed += turns / 2
		s.InFlight += int(turns % 2)
	}
	s.Dropped, s.Queued = p.dropped.Load(), len(p.jobs)
	n := p.gate.submits()
	s.Submitted, s.Accepted, s.Rejected, s.Cancelled = n.submitted, n.accepted, n.rejected, n.cancelled
	s.Wait = p.waits.snapshot(n.atOnce)
	s.Shedding = p.shed != nil && p.shed.mark.On()
	return s
}
