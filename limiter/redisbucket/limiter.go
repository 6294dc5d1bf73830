package redisbucket

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// Limiter admits events at rates that hold over all processes with the same Redis and
// Config.Prefix, one rate for each key. Most callers want Allow, or a Bucket if the key
// stays the same. All methods are safe for concurrent use.
type Limiter struct {
	client redis.UniversalClient
	cfg    Config
	terms  *terms    // of Config.Rate
	origin time.Time // of the clock, whose times are nanoseconds since then
	id     string    // of this process among those that live

	timeout int64 // Config.Timeout
	life    int64 // of tokens from when they were asked for: half of Config.Lease
	quantum int64 // what one fetch is for: a quarter of Config.Lease

	keys    keys
	queue   *queue
	link    *link
	members members
	totals  totals

	roundTrips, fetches atomic.Uint64
	trip                atomic.Int64 // ns of a round trip, smoothed

	ctx     context.Context // ends with Close
	cancel  context.CancelFunc
	running sync.WaitGroup
	closing sync.Once
}

// ErrClosed says that the Limiter is closed.
var ErrClosed = errors.New("redisbucket: the limiter is closed")

// ErrUnavailable says that Redis does not answer and nothing is admitted without it: with
// OnError Closed nothing at all, with Local what is more than the burst of one process.
var ErrUnavailable = errors.New("redisbucket: Redis does not answer")

// ErrKeys says that all Config.MaxKeys keys have somebody who waits.
var ErrKeys = errors.New("redisbucket: too many keys are in use")

// New returns a Limiter on client, or all that is wrong with c. It does not wait for Redis,
// which may be away. The client must have its option ContextTimeoutEnabled on, as those of
// Dial have, and stays the caller's to close, after the Limiter.
func New(client redis.UniversalClient, c Config) (*Limiter, error) {
	c, err := c.withDefaults()
	if err = errors.Join(err, heedsContexts(client)); err != nil {
		return nil, fmt.Errorf("redisbucket: New: %w", err)
	}
	l := &Limiter{
		client: client, cfg: c, origin: time.Now(), id: rand.Text(),
		timeout: int64(c.Timeout), life: int64(c.Lease / 2), quantum: int64(c.Lease / 4),
		queue: newQueue(),
	}
	l.keys.init(c.MaxKeys)
	l.members.assume(c.Processes)
	if l.terms, err = newTerms(c.Rate, c.Lease); err == nil {
		l.link, err = newLink(l)
	}
	if err != nil {
		return nil, fmt.Errorf("redisbucket: New: %w", err)
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	for range senders {
		l.running.Go(l.send)
	}
	l.running.Go(l.keep)
	return l, nil
}

// Allow takes a token of key, if there is one now. It waits for Redis only if this process
// has none and Redis may have some, and never longer than Config.Timeout. With an error it
// has taken nothing: that of ctx, of a key or a rate that is invalid, ErrUnavailable if
// nothing is admitted without Redis, ErrKeys, ErrClosed.
func (l *Limiter) Allow(ctx context.Context, key string) (bool, error) {
	return l.AllowN(ctx, key, 1)
}

// AllowN is Allow for n tokens, which are taken together. An n above the burst of the rate
// can never be admitted: that is an error which wraps limiter.ErrBurst.
func (l *Limiter) AllowN(ctx context.Context, key string, n int) (bool, error) {
	if err := ctx.Err(); err != nil {
		return false, err
	}
	v, e, w, err := l.want(key, l.clock(), n, anAnswer)
	if v != joined {
		return v == admitted, err
	}
	return e.await(ctx, w)
}

// Wait takes a token of key as soon as there is one. Those who wait are served in order
// within this process, and before those who call Allow. It returns the errors of Allow; and
// limiter.ErrTooLate, at once, if it is known that the token cannot come before the
// deadline of ctx.
func (l *Limiter) Wait(ctx context.Context, key string) error { return l.WaitN(ctx, key, 1) }

// WaitN is Wait for n tokens, which are taken together. Many who ask for little in other
// processes may keep the bucket from ever having n.
func (l *Limiter) WaitN(ctx context.Context, key string, n int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	now := l.clock()
	v, e, w, err := l.want(key, now, n, tokens)
	if v != joined {
		return err
	}
	return e.awaitTokens(ctx, now, w)
}

// want is that of the entry, whichever has the key at present.
func (l *Limiter) want(key string, now int64, n int, how wish) (verdict, *entry, *waiter, error) {
	for {
		e, err := l.entry(key, nil)
		if err != nil {
			return failed, nil, nil, err
		}
		if v, w, err := e.want(now, n, how); v != forgotten {
			return v, e, w, err
		}
	}
}

// Refresh asks Config.RateFor again, for the keys named, or for all that are remembered if
// none is, and applies what it answers from now on. It returns the errors of keys whose rate
// is invalid, which keep the one they have. Rates that were set by Bucket stay.
func (l *Limiter) Refresh(keys ...string) error {
	var errs []error
	refresh := func(e *entry) {
		t, err := l.termsFor(e.key)
		if err != nil {
			errs = append(errs, err)
			return
		}
		e.setTerms(l.clock(), t, false)
	}
	if len(keys) == 0 {
		l.keys.each(refresh)
	}
	for _, key := range keys {
		if e := l.keys.get(key); e != nil {
			refresh(e)
		}
	}
	return errors.Join(errs...)
}

// termsFor returns the terms of a key that has none of its own.
func (l *Limiter) termsFor(key string) (*terms, error) {
	if l.cfg.RateFor == nil {
		return l.terms, nil
	}
	t, err := newTerms(l.cfg.RateFor(key), l.cfg.Lease)
	if err != nil {
		return nil, fmt.Errorf("redisbucket: RateFor %.64q: %w", key, err)
	}
	return t, nil
}

// entry returns what is known of key, and begins with own terms, or else those it has, if
// nothing is.
func (l *Limiter) entry(key string, own *terms) (*entry, error) {
	if e := l.keys.get(key); e != nil {
		return e, nil
	}
	if key == "" || len(key) > maxKey {
		return nil, fmt.Errorf("redisbucket: the key %.64q has %d bytes: must have from 1 to %d", key, len(key), maxKey)
	}
	t := own
	if t == nil {
		var err error
		if t, err = l.termsFor(key); err != nil {
			return nil, err
		}
	}
	now := l.clock()
	e := &entry{l: l, key: key, name: l.cfg.Prefix + ":{" + key + "}", terms: t, own: own != nil, low: -1, lastUse: now}
	e.pace.began = now - l.quantum
	return l.keys.add(e, now, l)
}

// Close refuses all who wait and all who come, says that this process has left, and returns
// when all goroutines have ended, after Config.Timeout at most. Tokens that were not used are
// lost to the fleet. It calls no callback.
func (l *Limiter) Close() {
	l.closing.Do(func() {
		for _, e := range l.keys.close() {
			e.close()
		}
		l.cancel()
		l.running.Wait()
		if l.link.isUp() {
			ctx, cancel := context.WithTimeout(context.Background(), l.cfg.Timeout)
			defer cancel()
			_, _ = live(ctx, l.client, l.membersKey(), l.id, 0) // it would be taken for dead soon
		}
	})
	l.running.Wait()
}

// clock returns the time of the limiter's clock, which is monotonic.
func (l *Limiter) clock() int64 { return int64(time.Since(l.origin)) }

const farAway = 1 << 60 // 36 years in ns

// nanos is clock for times that are brought along, however far away.
func (l *Limiter) nanos(now time.Time) int64 {
	return min(max(int64(now.Sub(l.origin)), -farAway), farAway)
}

func (l *Limiter) time(t int64) time.Time { return l.origin.Add(time.Duration(t)) }

// Stats are what a Limiter has done so far, and how it is.
type Stats struct {
	Degraded bool      // decisions are left to Config.OnError, for some keys at least
	Since    time.Time // of the last change of Degraded; zero if it never changed
	Cause    error     // the last error of Redis, even if it answers again

	Keys      int // remembered
	Alone     int // of these, decided without Redis at present
	Processes int // that live, as last counted

	Admitted     uint64        // tokens
	WithoutRedis uint64        // of these, by OnError
	Fetches      uint64        // asked of Redis: one is for one key
	RoundTrips   uint64        // in which they were: many keys may share one
	RoundTrip    time.Duration // how long one takes, smoothed
}

// Stats returns the state of l now. It looks at every key.
func (l *Limiter) Stats() Stats {
	s := l.link.stats()
	s.Admitted, s.WithoutRedis = l.totals.load()
	l.keys.each(func(e *entry) {
		e.mu.Lock()
		defer e.mu.Unlock()
		s.Keys++
		s.Admitted += e.admitted
		s.WithoutRedis += e.withoutRedis
	})
	s.Processes = l.members.count()
	s.RoundTrips, s.Fetches = l.roundTrips.Load(), l.fetches.Load()
	s.RoundTrip = time.Duration(l.trip.Load())
	return s
}

// Degraded reports whether decisions are left to Config.OnError, for some keys at least.
func (l *Limiter) Degraded() bool { return l.link.stats().Degraded }
