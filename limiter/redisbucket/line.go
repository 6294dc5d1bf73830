package redisbucket

import (
	"context"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// A waiter is one caller who waits.
type waiter struct {
	n          int
	how        wish
	until      int64         // when anAnswer is late
	done       chan struct{} // closed when ok and err are there
	ok         bool
	err        error
	over       bool // it is not in the line any more
	prev, next *waiter
}

// A line holds those who wait for tokens of one key, in order. The first is served first.
type line struct {
	first, last *waiter
	tokens      int64 // that all wait for
	closed      bool
}

func (l *line) join(n int, how wish, until int64) *waiter {
	w := &waiter{n: n, how: how, until: until, done: make(chan struct{}), prev: l.last}
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.tokens += int64(n)
	return w
}

func (l *line) remove(w *waiter) {
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next, w.over = nil, nil, true
	l.tokens -= int64(w.n)
}

// end takes w out of the line and tells it.
func (l *line) end(w *waiter, ok bool, err error) {
	l.remove(w)
	w.ok, w.err = ok, err
	close(w.done)
}

// refuse ends the wait of those for whom there is an error.
func (l *line) refuse(why func(*waiter) error) {
	for w := l.first; w != nil; {
		behind := w.next
		if err := why(w); err != nil {
			l.end(w, false, err)
		}
		w = behind
	}
}

// serve gives tokens to those who wait, and sees to it that somebody serves again. It
// requires mu.
func (e *entry) serve(now int64) {
	for w := e.line.first; w != nil && e.take(now, int64(w.n)); w = e.line.first {
		e.line.end(w, true, nil)
	}
	switch {
	case e.line.first == nil:
		if e.timer != nil {
			e.timer.Stop()
		}
	case e.alone != nil:
		e.serveAlone(now)
	case e.fetch != nil:
		e.ringAt(now, e.answerDue())
	default:
		e.serveShared(now)
	}
}

// serveShared asks Redis for those who wait, when it can have what the first one lacks. Who
// wants no more than an answer has one if that is later. It requires mu, and a line.
func (e *entry) serveShared(now int64) {
	for w := e.line.first; w != nil; w = e.line.first {
		missing := int64(w.n) - e.pocket.left(now)
		ready := e.known.ready(missing, e.terms)
		if now >= ready {
			e.startFetch(now, missing)
			e.ringAt(now, e.answerDue())
			return
		}
		if e.dismiss(); e.line.first == w {
			e.ringAt(now, ready)
			return
		}
	}
}

// answerDue returns when somebody has waited for long enough: the fetch has failed then, or
// who came before it has its answer without it. It requires mu, a fetch and a line.
func (e *entry) answerDue() int64 {
	for w := e.line.first; w != nil; w = w.next {
		if w.how == anAnswer {
			return min(w.until, e.fetch.due) // those behind came later
		}
	}
	return e.fetch.due
}

// dismissLate answers those who have waited for long enough, although nobody knows. It
// requires mu.
func (e *entry) dismissLate(now int64) {
	for w := e.line.first; w != nil; {
		behind := w.next
		if w.how == anAnswer && w.until <= now {
			switch e.l.cfg.OnError {
			case Open:
				e.line.end(w, true, nil)
			case Closed:
				e.line.end(w, false, ErrUnavailable)
			case Local:
				e.line.end(w, false, nil)
			}
		}
		w = behind
	}
}

// dismiss refuses those who want no more than an answer. It requires mu.
func (e *entry) dismiss() {
	for w := e.line.first; w != nil; {
		behind := w.next
		if w.how == anAnswer {
			e.line.end(w, false, nil)
		}
		w = behind
	}
}

// serveAlone is serve without Redis. It requires mu, that the entry is alone, and a line.
func (e *entry) serveAlone(now int64) {
	e.line.refuse(func(w *waiter) error {
		if !e.alone.may(w.n) {
			return ErrUnavailable
		}
		return nil
	})
	e.dismiss()
	if w := e.line.first; w != nil {
		e.ringAt(now, e.alone.next(e.l, now, w.n))
	}
}

// ringAt requires mu.
func (e *entry) ringAt(now, at int64) {
	in := time.Duration(max(at-now, 0))
	if e.timer == nil {
		e.timer = time.AfterFunc(in, e.ring)
	} else {
		e.timer.Reset(in)
	}
}

// ring is called by the timer: tokens may be there, or an answer of Redis is overdue.
func (e *entry) ring() {
	now := e.l.clock()
	e.mu.Lock()
	defer e.unlock()
	if e.line.closed || e.line.first == nil {
		return
	}
	e.overdue(now)
	if e.alone == nil && e.fetch != nil {
		e.dismissLate(now)
	}
	e.serve(now)
}

// leave takes w out of the line. It returns false if it was told before.
func (e *entry) leave(w *waiter) bool {
	now := e.l.clock()
	e.mu.Lock()
	defer e.unlock()
	if w.over {
		return false
	}
	e.line.remove(w)
	e.serve(now)
	return true
}

// await returns what has become of w.
func (e *entry) await(ctx context.Context, w *waiter) (bool, error) {
	select {
	case <-w.done:
	case <-ctx.Done():
		if e.leave(w) {
			return false, ctx.Err()
		}
	}
	return w.ok, w.err
}

// awaitTokens is await for who has joined at now, for as long as it takes.
func (e *entry) awaitTokens(ctx context.Context, now int64, w *waiter) error {
	if late := e.tooLate(ctx, now, w.n); late != nil && e.leave(w) {
		return late
	}
	_, err := e.await(ctx, w)
	return err
}

// tooLate returns an error if n tokens cannot be there by the deadline of ctx.
func (e *entry) tooLate(ctx context.Context, now int64, n int) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.alone == nil && e.known.ready(int64(n)-e.pocket.left(now), e.terms) >= e.l.nanos(deadline) {
		return limiter.ErrTooLate
	}
	return nil
}
