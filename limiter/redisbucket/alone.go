package redisbucket

import (
	"math/rand/v2"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// alone is how a key is decided without Redis.
type alone struct {
	mode      OnError
	local     *limiter.TokenBucket // of mode Local
	processes int                  // that share the rate
	retryAt   int64
	failures  int

	waitsForLink bool // the breaker has refused: there is nothing wrong with the key
}

// newAlone returns the decisions without Redis from since on. The local bucket is empty
// then: its burst was Redis's to give, and may have been given.
func (l *Limiter) newAlone(since int64, t *terms) *alone {
	a := &alone{mode: l.cfg.OnError, processes: l.members.count()}
	if a.mode == Local {
		a.local = emptyBucket(l.time(since), t.share(a.processes))
	}
	return a
}

// emptyBucket returns nil for a rate that no bucket takes, which share never makes.
func emptyBucket(since time.Time, r limiter.Rate) *limiter.TokenBucket {
	b, err := limiter.NewTokenBucket(r)
	if err != nil || !b.AllowN(since, r.Burst) {
		return nil
	}
	return b
}

func (a *alone) setTerms(now time.Time, t *terms) {
	if a.local != nil && a.local.SetRateAt(now, t.share(a.processes)) != nil {
		a.local = nil
	}
}

func (a *alone) take(now time.Time, n int) bool {
	return a.mode == Open || a.local != nil && a.local.AllowN(now, n)
}

// may reports whether n tokens can be had at all, sooner or later.
func (a *alone) may(n int) bool {
	return a.mode == Open || a.local != nil && n <= a.local.Snapshot().Rate.Burst
}

// next returns when take may say yes to n.
func (a *alone) next(l *Limiter, now int64, n int) int64 {
	if a.mode == Open {
		return now
	}
	if a.local != nil {
		if at, ok := a.local.Next(l.time(now), n); ok {
			return l.nanos(at)
		}
	}
	return max(now+int64(tick), a.retryAt)
}

const (
	firstRetry = 100 * time.Millisecond // of a key whose answer failed
	lastRetry  = 2 * time.Second
)

// backoff returns how long a key waits after so many failures in a row.
func (l *Limiter) backoff(failures int) int64 {
	d := min(firstRetry<<min(failures-1, 10), lastRetry)
	return int64(d) + rand.Int64N(int64(d)/4)
}

// hold returns how long Redis is left alone about a key that it had too little of: until
// there is enough for a round trip to be worth it, but before the bucket runs over.
func (l *Limiter) hold() int64 {
	return l.quantum - l.quantum/8 + rand.Int64N(l.quantum/4)
}
