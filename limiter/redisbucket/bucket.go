package redisbucket

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// Bucket is the tokens of one key, with the methods of a limiter.TokenBucket: where one of
// those holds for a process, this holds for all. AllowN and Next never wait, so that a
// scheduler can ask them. A Bucket need not be closed; what it knows is forgotten when
// nobody uses it, and found again by its next use. All methods are safe for concurrent use.
type Bucket struct {
	l     *Limiter
	key   string
	terms atomic.Pointer[terms] // of its own; nil: those of the Limiter
	e     atomic.Pointer[entry] // perhaps forgotten
}

// Bucket returns the bucket of key at rate r; with the zero Rate, at the one that the Limiter
// has for key. It does not talk to Redis. Where the same key is given several rates in a
// process, the last one holds.
func (l *Limiter) Bucket(key string, r limiter.Rate) (*Bucket, error) {
	b := &Bucket{l: l, key: key}
	if r != (limiter.Rate{}) {
		return b, b.SetRate(r)
	}
	e, err := l.entry(key, nil)
	if err != nil {
		return nil, err
	}
	b.e.Store(e)
	return b, nil
}

// SetRate changes the rate and the burst in this process from now on; the others have to be
// told, too. Tokens there are stay, up to the new burst, and so do those who wait; who waits
// for more than the new burst gets an error. A bad rate is an error, and changes nothing.
// What a raised burst adds may be there at once.
func (b *Bucket) SetRate(r limiter.Rate) error {
	t, err := newTerms(r, b.l.cfg.Lease)
	if err != nil {
		return fmt.Errorf("redisbucket: SetRate of %.64q: %w", b.key, err)
	}
	e, err := b.l.entry(b.key, t)
	if err != nil {
		return err
	}
	b.terms.Store(t)
	b.e.Store(e)
	e.setTerms(b.l.clock(), t, true)
	return nil
}

// Rate returns the rate with the burst that is in force in this process.
func (b *Bucket) Rate() (limiter.Rate, error) {
	e, err := b.entry()
	if err != nil {
		return limiter.Rate{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.terms.rate, nil
}

// Degraded reports whether this key is decided without Redis. To ask is no use of the key.
func (b *Bucket) Degraded() bool {
	if !b.l.link.isUp() {
		return true
	}
	e := b.l.keys.get(b.key)
	if e == nil {
		return false
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.alone != nil
}

// Allow takes a token, if this process has one now; see AllowN.
func (b *Bucket) Allow() bool { return b.take(b.l.clock(), 1) }

// AllowN takes n tokens, if this process has as many at now; otherwise it takes none, asks
// Redis for some in the background if that may have them, and Next says when to try again.
// It returns false if n is below 1 or above the burst, or the Limiter closed, always. The
// time is that of time.Now; one that was read long before is taken for the time it says.
func (b *Bucket) AllowN(now time.Time, n int) bool { return b.take(b.l.nanos(now), n) }

func (b *Bucket) take(now int64, n int) bool {
	v, _, _, _ := b.want(now, n, atOnce)
	return v == admitted
}

// Next returns when AllowN(…, n) may admit: now, if it would at once or nothing is known
// yet; later, if Redis is being asked, or cannot have as many before. Others may have taken
// them by then, so that AllowN refuses, and Next says more. It is false if n is below 1 or
// above the burst, or the Limiter closed, for which there is no such time.
func (b *Bucket) Next(now time.Time, n int) (at time.Time, ok bool) {
	e, err := b.entry()
	if err != nil {
		return time.Time{}, false
	}
	t := b.l.nanos(now)
	next, ok := e.next(t, n)
	switch {
	case !ok:
		return time.Time{}, false
	case next <= t:
		return now, true
	}
	return b.l.time(next), true
}

// next is Next in the limiter's time.
func (e *entry) next(now int64, n int) (int64, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if n < 1 || n > e.terms.rate.Burst || e.line.closed {
		return 0, false
	}
	missing := int64(n) - e.pocket.left(now)
	switch {
	case missing <= 0 && e.line.first == nil:
		return now, true
	case e.alone != nil:
		return e.alone.next(e.l, now, n), true
	case e.fetch != nil || e.line.first != nil:
		return max(now+e.l.untilReply(), e.known.ready(missing, e.terms)), true
	}
	return max(now, e.known.ready(missing, e.terms)), true
}

// Refund gives back n tokens that were taken just now and not used. They are this process's
// again, until they would have been lost if they had not been taken.
func (b *Bucket) Refund(n int) {
	e := b.e.Load()
	if e == nil || n < 1 {
		return
	}
	now := b.l.clock()
	e.mu.Lock()
	defer e.unlock()
	if e.alone != nil && e.alone.local != nil {
		e.alone.local.Refund(n)
	} else {
		e.pocket.refund(now, int64(n))
	}
	e.serve(now)
}

// Wait takes a token as soon as there is one; see Limiter.Wait.
func (b *Bucket) Wait(ctx context.Context) error { return b.WaitN(ctx, 1) }

// WaitN is Wait for n tokens; see Limiter.WaitN.
func (b *Bucket) WaitN(ctx context.Context, n int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := b.l.clock()
	v, e, w, err := b.want(now, n, tokens)
	if v != joined {
		return err
	}
	return e.awaitTokens(ctx, now, w)
}

// want is that of the entry, whichever has the key at present.
func (b *Bucket) want(now int64, n int, how wish) (verdict, *entry, *waiter, error) {
	for {
		e, err := b.entry()
		if err != nil {
			return failed, nil, nil, err
		}
		v, w, err := e.want(now, n, how)
		if v != forgotten {
			return v, e, w, err
		}
		b.e.CompareAndSwap(e, nil)
	}
}

func (b *Bucket) entry() (*entry, error) {
	if e := b.e.Load(); e != nil {
		return e, nil
	}
	e, err := b.l.entry(b.key, b.terms.Load())
	if err == nil {
		b.e.Store(e)
	}
	return e, err
}
