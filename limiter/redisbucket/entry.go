package redisbucket

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/breaker"
	"github.com/spillwaymq/spillway/limiter"
)

// An entry is what this process knows of one key. It is shared while Redis decides, and
// alone while it does not answer.
type entry struct {
	l    *Limiter
	key  string
	name string // in Redis
	slot int    // in keys.ring; of keys.mu

	// mu guards all that follows. It is held for arithmetic, never while somebody waits, talks
	// to Redis or runs a callback. Whoever may have changed whether the entry is alone ends
	// with unlock, which tells of it.
	mu      sync.Mutex
	terms   *terms
	own     bool // its rate was set by Bucket, and is not RateFor's
	gone    bool // forgotten: another entry may have the key by now
	pocket  pocket
	pace    pace
	low     int64 // tokens in the pocket at which more are fetched; -1: never
	lastUse int64
	known   knowledge
	fetch   *fetch // in flight
	alone   *alone // nil: shared
	line    line
	timer   *time.Timer

	admitted, withoutRedis uint64
}

// Knowledge is what the last answer of Redis said. As others only take, it is a bound for
// what there can be at any time after.
type knowledge struct {
	any  bool
	asOf int64 // not after the answer was made
	left int64 // whole tokens in Redis
	next int64 // when there can be one more
	hold int64 // when it is worth asking again, if there was less than was wanted
}

// ready returns when Redis can have n tokens at the earliest; 0 is now.
func (k *knowledge) ready(n int64, t *terms) int64 {
	if !k.any || n <= k.left {
		return 0
	}
	return max(k.next+t.nanos(n-k.left-1), k.hold)
}

// A verdict is what becomes of a wish for tokens.
type verdict int

const (
	admitted verdict = iota
	refused
	joined // ask the waiter
	forgotten
	failed // there is an error
)

// A wish says how long its maker wants to wait for it.
type wish int

const (
	atOnce   wish = iota
	anAnswer      // of Redis, if it may say yes
	tokens        // as long as it takes
)

// want takes n tokens, or says what becomes of it.
func (e *entry) want(now int64, n int, how wish) (verdict, *waiter, error) {
	e.mu.Lock()
	defer e.unlock()
	if e.gone {
		return forgotten, nil, nil
	}
	e.lastUse = max(e.lastUse, now)
	e.overdue(now)
	need := int64(n)
	switch {
	case e.line.closed:
		return failed, nil, ErrClosed
	case n < 1:
		return failed, nil, fmt.Errorf("redisbucket: %d tokens: must be at least 1", n)
	case n > e.terms.rate.Burst:
		return failed, nil, refusal(n, e.terms.rate.Burst)
	case e.line.first == nil && e.take(now, need):
		return admitted, nil, nil
	case e.alone != nil:
		return e.wantAlone(now, n, how)
	}
	missing := need - e.pocket.left(now)
	if how != tokens && now < e.known.ready(missing, e.terms) {
		return refused, nil, nil
	}
	if how == atOnce {
		if e.line.first == nil {
			e.startFetch(now, missing)
		}
		return refused, nil, nil
	}
	w := e.line.join(n, how, now+e.l.timeout)
	e.serve(now)
	return joined, w, nil
}

// wantAlone is want for what was not there. It requires mu.
func (e *entry) wantAlone(now int64, n int, how wish) (verdict, *waiter, error) {
	switch {
	case !e.alone.may(n):
		return failed, nil, ErrUnavailable
	case how != tokens:
		return refused, nil, nil
	}
	w := e.line.join(n, how, now+e.l.timeout)
	e.serve(now)
	return joined, w, nil
}

func refusal(n, burst int) error {
	return fmt.Errorf("%w: asked for %d tokens, the burst is %d", limiter.ErrBurst, n, burst)
}

// take takes n tokens from the pocket, or else from what there is without Redis. It requires
// mu.
func (e *entry) take(now, n int64) bool {
	left := e.pocket.take(now, n)
	switch {
	case left >= 0:
		if left <= e.low && e.fetch == nil && e.alone == nil {
			e.refill(now)
		}
	case e.alone == nil || !e.alone.take(e.l.time(now), int(n)):
		return false
	default:
		e.withoutRedis += uint64(n)
	}
	e.pace.used += n
	e.admitted += uint64(n)
	return true
}

// refill fetches tokens before they are needed, if there can be any. It requires mu.
func (e *entry) refill(now int64) {
	if now >= e.known.ready(1, e.terms) {
		e.startFetch(now, 1)
	}
}

// startFetch asks Redis for tokens, of which less than least are of no use. It requires mu.
func (e *entry) startFetch(now, least int64) {
	if e.fetch != nil || e.line.closed {
		return
	}
	quantum := e.l.quantum
	e.pace.renew(now, quantum)
	e.fetch = &fetch{
		entry: e, terms: e.terms, least: least, bound: e.bound(now),
		want:   e.pace.ask(now, quantum, max(least, e.line.tokens-e.pocket.left(now)), e.terms.capacity),
		queued: now, due: now + e.l.timeout,
	}
	e.l.queue.push(e.fetch)
}

// bound returns the most that there can be in Redis, however it lost its memory or its clock
// moved; below 0, if nothing is known of it. It requires mu.
func (e *entry) bound(now int64) float64 {
	since, lonely := e.known.asOf, e.alone != nil && e.l.cfg.OnError != Closed
	switch {
	case lonely:
		return float64(e.known.left) // what accrued since was admitted without Redis
	case !e.known.any:
		return unbounded
	}
	return float64(e.known.left+1) + e.terms.accrued(now-since+e.l.timeout)
}

// finish takes the answer to f, which was given at now.
func (e *entry) finish(now int64, f *fetch) {
	e.mu.Lock()
	defer e.unlock()
	if e.fetch != f {
		return // the rate has changed, or the entry was closed
	}
	e.fetch = nil
	switch {
	case f.err != nil:
		e.fail(now, f.queued, f.err)
	case now > f.due: // what Redis gave is lost: nobody waits for it any more
		e.fail(now, f.queued, context.DeadlineExceeded)
	default:
		e.learn(now, f)
	}
	e.serve(now)
}

// learn requires mu.
func (e *entry) learn(now int64, f *fetch) {
	if e.alone != nil {
		e.alone = nil
		e.l.link.back()
	}
	r := f.reply
	e.known = knowledge{
		any: true, asOf: f.queued, left: r.left,
		next: f.sent + r.nextMicros*int64(time.Microsecond),
	}
	if r.taken < f.want {
		e.known.hold = now + e.l.hold()
	}
	e.pocket.put(now, r.taken, f.sent+e.l.life)
	e.low = e.pace.low(now, e.l.quantum)
}

// overdue leaves decisions to OnError if an answer should have come by now. It requires mu.
func (e *entry) overdue(now int64) {
	if f := e.fetch; f != nil && e.alone == nil && now >= f.due {
		e.fail(now, f.queued, context.DeadlineExceeded)
	}
}

// fail leaves decisions to OnError from since on. It requires mu.
func (e *entry) fail(now, since int64, err error) {
	_, refused := errors.AsType[*breaker.OpenError](err)
	if !refused {
		e.l.link.failed(err)
	}
	if e.alone == nil {
		since = max(min(since, e.l.link.downSince(since)), e.known.asOf)
		e.alone = e.l.newAlone(since, e.terms)
		e.l.link.leave()
	}
	e.alone.failures++
	e.alone.retryAt = now + e.l.backoff(e.alone.failures)
	e.alone.waitsForLink = refused
}

// retry asks Redis again, if it is time to.
func (e *entry) retry(now int64) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.alone != nil && (now >= e.alone.retryAt || e.alone.waitsForLink) {
		e.startFetch(now, 0)
	}
}

// setTerms changes the rate from now on. Tokens that were taken stay, and so do those who
// wait, but for those who wait for more than the new burst.
func (e *entry) setTerms(now int64, t *terms, own bool) {
	e.mu.Lock()
	defer e.unlock()
	if e.gone || *e.terms == *t || e.own && !own {
		return
	}
	e.terms, e.own = t, own
	e.known, e.fetch = knowledge{}, nil // an answer to the old rate says nothing
	if e.alone != nil {
		e.alone.setTerms(e.l.time(now), t)
	}
	e.line.refuse(func(w *waiter) error {
		if w.n > t.rate.Burst {
			return refusal(w.n, t.rate.Burst)
		}
		return nil
	})
	e.serve(now)
}

// close refuses all who wait and all who come.
func (e *entry) close() {
	e.mu.Lock()
	defer e.unlock()
	e.line.closed = true
	e.fetch = nil
	e.line.refuse(func(*waiter) error { return ErrClosed })
	if e.timer != nil {
		e.timer.Stop()
	}
}

// forget returns false if the entry is in use, or was used after since. Whoever calls it
// tells of it.
func (e *entry) forget(since int64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.lastUse > since || e.fetch != nil || e.line.first != nil {
		return false
	}
	e.gone = true
	if e.alone != nil {
		e.alone = nil
		e.l.link.back()
	}
	return true
}

// unlock gives up mu, and tells whether decisions are left to OnError if that has changed.
func (e *entry) unlock() {
	e.mu.Unlock()
	e.l.link.tell()
}
