package tenants

import (
	"context"
	"time"
)

// Job is one item that Next has started. It is a plain value; whoever has it calls Done
// or Requeue when the work has ended.
type Job[T any] struct {
	Tenant, Class string
	Value         T
	Size          int
	Arrived       time.Time // as given to Push
	Started       time.Time

	shared *Rate // of its tenant; nil: it has none that is shared
	run    int32
	gen    uint32
}

// SharedRate returns the Rate of the Job's tenant as of its start, if it has Policy.SharedRate:
// then the item may run only with a token of it.
func (j Job[T]) SharedRate() (r Rate, ok bool) {
	if j.shared == nil {
		return Rate{}, false
	}
	return *j.shared, true
}

// Next returns the item whose turn it is, as soon as there is one that may run. It
// returns the error of ctx when ctx ends before, and ErrClosed after Close. The item runs
// from now until Done or Requeue.
func (q *Queues[T]) Next(ctx context.Context) (Job[T], error) {
	if err := ctx.Err(); err != nil {
		return Job[T]{}, err
	}
	now := time.Now()
	q.mu.Lock()
	for {
		if j, ok := q.take(now); ok {
			q.wake()
			q.unlock()
			return j, nil
		}
		if q.ended() {
			q.unlock()
			return Job[T]{}, ErrClosed
		}
		w := q.sleepers.lieDown()
		q.setAlarm(q.now)
		q.unlock()
		err := q.sleep(ctx, w)
		if err != nil {
			return Job[T]{}, err
		}
		now = time.Now()
		q.mu.Lock()
		q.sleepers.up(w)
	}
}

// TryNext returns the item whose turn it is, if there is one that may run now.
func (q *Queues[T]) TryNext(now time.Time) (Job[T], bool) {
	q.mu.Lock()
	j, ok := q.take(now)
	q.wake()
	q.unlock()
	return j, ok
}

// sleep returns nil when w was woken, or the error of ctx. A wake-up that came too late
// for w is passed on.
func (q *Queues[T]) sleep(ctx context.Context, w *sleeper) error {
	if ctx.Done() == nil {
		<-w.wake // a plain receive costs half of a select
		return nil
	}
	select {
	case <-w.wake:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	if !q.sleepers.leave(w) {
		q.unlock()
		<-w.wake
		q.mu.Lock()
		q.sleepers.up(w)
		q.wake()
	}
	q.unlock()
	return ctx.Err()
}

// take starts the item whose turn it is. It requires mu.
func (q *Queues[T]) take(now time.Time) (Job[T], bool) {
	at := q.tick(now)
	qu := q.s.least(at)
	if qu == nil {
		return Job[T]{}, false
	}
	n := q.list(qu).pop()
	j := Job[T]{
		Tenant: qu.tenant.name, Class: qu.class.name,
		Value: n.value, Size: n.size, Arrived: n.arrived, Started: now,
	}
	if l := qu.tenant.limits; l.shared {
		j.shared = &l.policy
	}
	j.run = q.s.dispatch(at, qu, n.size, n.behind)
	j.gen = q.s.runs[j.run].gen
	q.store.put(n)
	if q.s.queued == 0 {
		q.store.trim()
		if q.sealed {
			q.sleepers.rouseAll()
		}
	}
	return j, true
}

// ended reports that there will never be an item again. It requires mu.
func (q *Queues[T]) ended() bool {
	return q.closed || q.sealed && q.s.queued == 0
}

// Done ends the run of j, and charges its tenant for it. Only the first Done or Requeue
// of a Job counts.
func (q *Queues[T]) Done(j Job[T]) { q.DoneAt(time.Now(), j) }

// DoneAt is Done at a given time.
func (q *Queues[T]) DoneAt(now time.Time, j Job[T]) {
	q.mu.Lock()
	q.done(now, j)
	q.wake()
	q.unlock()
}

// DoneNext is DoneAt and then TryNext, for less than the two: a worker that is done with
// one item takes the next.
func (q *Queues[T]) DoneNext(now time.Time, j Job[T]) (Job[T], bool) {
	q.mu.Lock()
	q.done(now, j)
	next, ok := q.take(now)
	q.wake()
	q.unlock()
	return next, ok
}

// done requires mu.
func (q *Queues[T]) done(now time.Time, j Job[T]) {
	at := q.tick(now)
	if qu, r, ok := q.s.finish(at, j.run, j.gen); ok {
		qu.class.learn(service(at - r.start))
		qu.tenant.finished++
		q.s.settle(at, qu.tenant)
	}
}

// Requeue ends the run of j, charges its tenant for it, and puts j's Value back at the
// head of its queue, of which nothing starts before notBefore. It is never refused: the
// bounds may be passed by as much as was running. After Close the run ends and the value
// is with the caller alone; Requeue returns false then, and if the run had ended before.
func (q *Queues[T]) Requeue(j Job[T], notBefore time.Time) bool {
	return q.RequeueAt(time.Now(), j, notBefore)
}

// RequeueAt is Requeue at a given time.
func (q *Queues[T]) RequeueAt(now time.Time, j Job[T], notBefore time.Time) bool {
	q.mu.Lock()
	defer q.unlock()
	at := q.tick(now)
	qu, r, ok := q.s.finish(at, j.run, j.gen)
	return ok && q.putBack(at, qu, r, j, q.at(notBefore))
}

// putBack puts the item of r, which has ended, back where it was. It requires mu.
func (q *Queues[T]) putBack(at int64, qu *queue, r run, j Job[T], notBefore int64) bool {
	if q.closed {
		qu.tenant.returned++
		q.s.settle(at, qu.tenant)
		return false
	}
	n := q.store.get()
	n.arrived, n.size, n.value, n.order = j.Arrived, max(0, j.Size), j.Value, r.order
	l := q.list(qu)
	l.restore(n)
	q.s.restore(at, qu, n.size, l.head.order)
	q.s.delay(at, qu, notBefore)
	q.s.settle(at, qu.tenant)
	q.wake()
	q.setAlarm(at)
	return true
}
