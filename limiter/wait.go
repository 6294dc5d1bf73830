package limiter

import "context"

// Acquire waits until there is a permit. Callers are served in the order in which they
// came. It returns the error of ctx when ctx ends before, and ErrCrowded if too many wait.
func (l *Limiter) Acquire(ctx context.Context) (Permit, error) {
	if err := ctx.Err(); err != nil {
		return Permit{}, err
	}
	l.mu.Lock()
	now := l.now()
	if l.inflight < l.limit {
		p := l.give(now)
		l.mu.Unlock()
		return p, nil
	}
	if l.queue.n >= l.cfg.Waiters {
		l.counts.refused++
		l.mu.Unlock()
		return Permit{}, ErrCrowded
	}
	w := &waiter{permit: make(chan Permit, 1)}
	l.queue.push(w)
	l.mu.Unlock()
	select {
	case p := <-w.permit:
		return p, nil
	case <-ctx.Done():
		return l.giveUp(ctx, w)
	}
}

// giveUp takes w out of the queue, unless it has its permit by now.
func (l *Limiter) giveUp(ctx context.Context, w *waiter) (Permit, error) {
	l.mu.Lock()
	if !w.queued {
		l.mu.Unlock()
		return <-w.permit, nil // it is there already
	}
	l.queue.remove(w)
	l.counts.gaveUp++
	l.unlock(l.now()) // there may be room for those who asked by TryAcquire
	return Permit{}, ctx.Err()
}

// A waiter is one caller of Acquire.
type waiter struct {
	permit     chan Permit // has room for one
	prev, next *waiter
	queued     bool
}

// A queue of waiters, first in first out.
type queue struct {
	first, final *waiter
	n            int
}

func (q *queue) push(w *waiter) {
	w.prev, w.queued = q.final, true
	if q.final == nil {
		q.first = w
	} else {
		q.final.next = w
	}
	q.final = w
	q.n++
}

// pop requires that somebody waits.
func (q *queue) pop() *waiter {
	w := q.first
	q.remove(w)
	return w
}

// remove requires that w is queued.
func (q *queue) remove(w *waiter) {
	if w.prev == nil {
		q.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		q.final = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.queued = nil, nil, false
	q.n--
}
