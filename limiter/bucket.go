package limiter

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// TokenBucket admits events at a Rate. Most callers want Allow, which drops what is too
// much, or Wait, which delays it; schedulers ask Next when to come again.
//
// It holds up to Rate.Burst tokens, is full at first and gains tokens at the rate; an
// event takes one. What is held is not counted but worked out: one word says by when all
// that was ever taken is paid for, and an event is admitted if that is no further away
// than a burst takes to accrue (the generic cell rate algorithm, ITU-T I.371). So nothing
// runs while nobody asks, and Allow is a compare-and-swap.
//
// In any time T no more than Burst + Events·T/Per are admitted. Those who wait are
// counted at the moment their tokens were there, although the timer may tell them of it a
// little later: they make up for late timers, and the rate holds in the long run.
//
// Allow, Wait and SetRate go by the monotonic clock, which never steps. For those who
// bring their own: the first time sets the clock; one earlier than a time seen before never
// brings a token, whatever the order of the calls, so that after a step back nothing more
// is admitted until the clock is where it was; a step forward fills the bucket at most.
// Times are told apart within 73 years of when the bucket was made.
//
// All methods are safe for concurrent use, and but for those that wait none allocates.
type TokenBucket struct {
	origin time.Time // of the clock, whose times are nanoseconds since then
	epoch  atomic.Pointer[bucketEpoch]

	// mu orders changes of the epoch, and guards all that follows. It is held for
	// arithmetic, never while somebody waits. The word of an epoch changes without it.
	mu    sync.Mutex
	rate  Rate
	line  bucketLine
	timer *time.Timer // rings when the first of the line is due

	waiting atomic.Int64 // the length of the line, to be read without mu
}

// ErrBurst says that more tokens were asked for than the bucket can ever hold.
var ErrBurst = errors.New("limiter: more than the burst of the rate")

// ErrTooLate says that the tokens would not have been there by the deadline of the
// context, or are too far away to be counted. It wraps context.DeadlineExceeded.
var ErrTooLate = fmt.Errorf("limiter: tokens come too late: %w", context.DeadlineExceeded)

// NewTokenBucket returns a full bucket, or all that is wrong with r.
func NewTokenBucket(r Rate) (*TokenBucket, error) {
	r, err := r.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("limiter: NewTokenBucket: %w", err)
	}
	b := &TokenBucket{origin: time.Now(), rate: r}
	b.epoch.Store(newBucketEpoch(r))
	return b, nil
}

// Allow takes a token, if there is one now.
func (b *TokenBucket) Allow() bool { return b.take(b.clock(), 1) }

// AllowN takes n tokens, if there are as many at now; otherwise it takes none. It returns
// false if n is below 1 or above the burst, always.
func (b *TokenBucket) AllowN(now time.Time, n int) bool { return b.take(b.nanos(now), n) }

// Refund gives back n tokens that were taken and not used, as if they had never been
// taken. What is given back beyond a full bucket is lost; n below 1 does nothing.
func (b *TokenBucket) Refund(n int) {
	if n < 1 {
		return
	}
	for {
		e := b.epoch.Load()
		if e.refund(e.units(min(n, int(e.burst>>e.bits)))) {
			break
		}
		if b.isFull() {
			return
		}
	}
	if b.waiting.Load() > 0 {
		b.ring() // who waits moves up
	}
}

// isFull reports whether nothing was ever taken. If not, an epoch is there when it returns.
func (b *TokenBucket) isFull() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.epoch.Load().begun()
}

// Next returns when AllowN(…, n) will admit if nobody takes anything before: now, if it
// would at once. It is false if n is below 1 or above the burst, for which there is no
// such time.
func (b *TokenBucket) Next(now time.Time, n int) (at time.Time, ok bool) {
	t := b.nanos(now)
	b.mu.Lock()
	defer b.mu.Unlock()
	if n < 1 || n > b.rate.Burst {
		return time.Time{}, false
	}
	e := b.epoch.Load()
	if !e.begun() {
		return now, true
	}
	due := e.due(e.paid.Load() + e.units(n) - e.burst)
	if due <= t {
		return now, true
	}
	return now.Add(time.Duration(due - t)), true
}

// Tokens returns how many tokens there are at now, in fractions too. It is negative while
// somebody waits, by what they wait for.
func (b *TokenBucket) Tokens(now time.Time) float64 {
	t := b.nanos(now)
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.tokens(t)
}

// tokens requires mu.
func (b *TokenBucket) tokens(t int64) float64 {
	e := b.epoch.Load()
	there := e.units(e.first)
	if e.begun() {
		there = e.tokens(e.paid.Load(), e.accrued(t))
	}
	return math.Ldexp(float64(there), -int(e.bits))
}

// BucketSnapshot is the state of a TokenBucket.
type BucketSnapshot struct {
	Rate    Rate    // with the burst that is in force
	Tokens  float64 // as the method Tokens
	Waiting int     // callers of Wait
}

// Snapshot returns the state of b now.
func (b *TokenBucket) Snapshot() BucketSnapshot {
	t := b.clock()
	b.mu.Lock()
	defer b.mu.Unlock()
	return BucketSnapshot{Rate: b.rate, Tokens: b.tokens(t), Waiting: int(b.waiting.Load())}
}

// SetRate changes the rate and the burst from now on. The tokens there are stay, up to
// the new burst, and so do those who wait, at the new rate; who waits for more than the
// new burst gets ErrBurst. A bad rate is an error, and changes nothing.
func (b *TokenBucket) SetRate(r Rate) error { return b.setRate(b.clock(), r) }

// SetRateAt is SetRate at now.
func (b *TokenBucket) SetRateAt(now time.Time, r Rate) error { return b.setRate(b.nanos(now), r) }

func (b *TokenBucket) setRate(t int64, r Rate) error {
	r, err := r.withDefaults()
	if err != nil {
		return fmt.Errorf("limiter: SetRate: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rate = r
	next := newBucketEpoch(r)
	if e := b.epoch.Load(); !e.begun() {
		next.first = min(e.first, r.Burst)
		b.epoch.Store(next)
		return nil
	}
	b.fit(next)
	b.succeed(next, t)
	b.serve(t)
	return nil
}

// clock returns the time of the bucket's clock. Since reads one clock of the system where
// Now reads two.
func (b *TokenBucket) clock() int64 { return int64(time.Since(b.origin)) }

// nanos is clock for times that are brought along, however far away.
func (b *TokenBucket) nanos(now time.Time) int64 {
	return min(max(int64(now.Sub(b.origin)), -farAway), farAway)
}

// take is the hot path.
func (b *TokenBucket) take(t int64, n int) bool {
	for {
		e := b.epoch.Load()
		if n < 1 || int64(n) > e.burst>>e.bits {
			return false
		}
		if t-e.base <= e.horizon {
			switch e.take(t, e.units(n)) {
			case bucketTaken:
				return true
			case bucketEmpty:
				return false
			case bucketSealed:
			}
		}
		b.renew(t)
	}
}

// renew sees to it that there is an epoch that covers t.
func (b *TokenBucket) renew(t int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.current(t)
}

// current returns the epoch at t, and begins it where need be. It requires mu.
func (b *TokenBucket) current(t int64) *bucketEpoch {
	e := b.epoch.Load()
	switch {
	case !e.begun(): // whoever asks first sets the clock
		first := e.again()
		first.begin(t, e.first)
		b.epoch.Store(first)
		return first
	case t-e.base > e.horizon:
		return b.succeed(e.again(), t)
	}
	return e
}

// succeed makes next the epoch, from t, with the tokens of the one before. It requires mu,
// and an epoch that has begun.
func (b *TokenBucket) succeed(next *bucketEpoch, t int64) *bucketEpoch {
	old := b.epoch.Load()
	paid := old.paid.Swap(sealedEpoch) // who comes now waits for mu
	accrued := old.accrued(t)
	// What was granted was granted at a time when no more than a burst was unpaid. A clock
	// that is before that time has stepped back, and the epoch begins where it was.
	if seen := paid - old.units(b.line.tokens) - old.burst; accrued < seen {
		t = min(max(t, old.due(seen)), farAway)
		accrued = max(seen, old.accrued(t))
	}
	next.follow(old, t, old.tokens(paid, accrued))
	b.epoch.Store(next)
	return next
}
