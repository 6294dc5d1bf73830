package limiter

import (
	"context"
	"fmt"
	"time"
)

// Wait takes a token as soon as there is one. Those who wait are served in order, and
// before those who call Allow. It returns the error of ctx if that ends before, and
// ErrTooLate, at once, if the token would not come before the deadline of ctx, or after more
// tokens than can be counted: 2¹⁵ at the lowest rates, 2³⁵ at the highest. With an error
// it has taken nothing, and those behind move up. It returns nil if the token came, even if
// ctx has ended just then.
func (b *TokenBucket) Wait(ctx context.Context) error { return b.WaitN(ctx, 1) }

// WaitN is Wait for n tokens, which are taken together. It returns an error that wraps
// ErrBurst if n is above the burst, or becomes so by SetRate, and an error if n is below 1.
func (b *TokenBucket) WaitN(ctx context.Context, n int) error {
	if n < 1 {
		return fmt.Errorf("limiter: WaitN for %d tokens: must be at least 1", n)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t := b.clock()
	if b.take(t, n) {
		return nil
	}
	w, err := b.join(ctx, t, n)
	if w == nil {
		return err
	}
	select {
	case <-w.done:
		return w.err
	case <-ctx.Done():
		if b.leave(w) {
			return ctx.Err()
		}
		return w.err
	}
}

// A bucketWaiter is one caller of WaitN.
type bucketWaiter struct {
	n          int
	done       chan struct{} // closed when it was served or refused
	err        error         // to be read after done, or when leave has returned false
	over       bool          // it is not in the line any more
	prev, next *bucketWaiter
}

// A bucketLine holds those who wait, in order. What they wait for is taken from the
// bucket already: it is owed, so that nobody overtakes them.
type bucketLine struct {
	first, last *bucketWaiter
	tokens      int // that all in the line wait for
}

func (l *bucketLine) append(w *bucketWaiter) {
	w.prev = l.last
	if l.last == nil {
		l.first = w
	} else {
		l.last.next = w
	}
	l.last = w
	l.tokens += w.n
}

func (l *bucketLine) remove(w *bucketWaiter) {
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
	w.prev, w.next = nil, nil
	w.over = true
	l.tokens -= w.n
}

// join puts the caller into the line. It returns nil if there is nothing to wait for: the
// tokens were there after all, or the error says why they never will be.
func (b *TokenBucket) join(ctx context.Context, t int64, n int) (*bucketWaiter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n > b.rate.Burst {
		return nil, refusal(n, b.rate.Burst)
	}
	e := b.current(t)
	w := &bucketWaiter{n: n, done: make(chan struct{})}
	accrued := e.accrued(t)
	owed := max(e.paid.Load(), accrued) + e.units(n)
	if owed-accrued > horizonUnits {
		return nil, ErrTooLate
	}
	if deadline, ok := ctx.Deadline(); ok && e.due(owed-e.burst) >= b.nanos(deadline) {
		return nil, ErrTooLate
	}
	e.owe(accrued, e.units(n)) // with mu held the epoch goes on
	b.line.append(w)
	b.waiting.Add(1)
	b.serve(t)
	return w, nil
}

func refusal(n, burst int) error {
	return fmt.Errorf("%w: WaitN for %d tokens, the burst is %d", ErrBurst, n, burst)
}

// leave takes w out of the line, and gives back what it waited for. It returns false if w
// was served, or refused, before.
func (b *TokenBucket) leave(w *bucketWaiter) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if w.over {
		return false
	}
	b.drop(w)
	b.serve(b.clock())
	return true
}

// drop requires mu, and that w is in the line.
func (b *TokenBucket) drop(w *bucketWaiter) {
	b.line.remove(w)
	b.waiting.Add(-1)
	e := b.epoch.Load()
	e.refund(e.units(w.n))
}

// fit ends the wait of those whom the epoch that comes can never serve, or not count. It
// requires mu.
func (b *TokenBucket) fit(next *bucketEpoch) {
	burst := int(next.burst >> next.bits)
	for w := b.line.first; w != nil; {
		behind := w.next
		if w.n > burst {
			b.refuse(w, refusal(w.n, burst))
		}
		w = behind
	}
	for b.line.tokens > horizonUnits>>next.bits {
		b.refuse(b.line.last, ErrTooLate)
	}
}

func (b *TokenBucket) refuse(w *bucketWaiter, err error) {
	b.drop(w)
	w.err = err
	close(w.done)
}

// ring is called by the timer, and whenever those in the line have moved up.
func (b *TokenBucket) ring() {
	t := b.clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	b.serve(t)
}

// serve ends the wait of all whose tokens are there, and sets the timer for the first
// whose are not. It requires mu.
func (b *TokenBucket) serve(t int64) {
	for b.line.first != nil {
		w, e := b.line.first, b.current(t)
		// What is owed, less what is owed to those behind w.
		due := e.due(e.paid.Load() - e.units(b.line.tokens-w.n) - e.burst)
		if due > t {
			b.alarm(time.Duration(due - t))
			return
		}
		b.line.remove(w)
		b.waiting.Add(-1)
		close(w.done)
	}
	if b.timer != nil {
		b.timer.Stop()
	}
}

func (b *TokenBucket) alarm(in time.Duration) {
	if b.timer == nil {
		b.timer = time.AfterFunc(in, b.ring)
	} else {
		b.timer.Reset(in)
	}
}
