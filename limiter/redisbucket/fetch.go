package redisbucket

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

// A fetch is one request for tokens of one key.
type fetch struct {
	entry       *entry
	terms       *terms
	want, least int64
	bound       float64
	queued      int64 // when it was asked for
	due         int64 // when it has failed

	// Of the sender, until it is finished.
	sent  int64
	reply reply
	err   error
}

// unbounded is the bound of who knows nothing.
const unbounded = 1e18

func (f *fetch) args() []any {
	return []any{
		f.terms.perMicroArg, f.terms.capacityArg, strconv.FormatInt(f.want, 10), strconv.FormatInt(f.least, 10),
		strconv.FormatFloat(f.bound, 'g', 17, 64),
	}
}

const (
	senders  = 4   // round trips at once
	maxBatch = 128 // keys in one
)

// A queue holds the fetches that are to be sent: at most one a key.
type queue struct {
	wake chan struct{} // as many signals as senders that may be needed

	// mu guards what follows. It is held to append and to cut.
	mu      sync.Mutex
	fetches []*fetch
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, senders)} }

func (q *queue) push(f *fetch) {
	q.mu.Lock()
	q.fetches = append(q.fetches, f)
	q.mu.Unlock()
	q.rouse()
}

func (q *queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default: // all senders look before they sleep
	}
}

// next returns what one sender sends in one go, and rouses another if that is not all.
func (q *queue) next() []*fetch {
	q.mu.Lock()
	n := min(len(q.fetches), maxBatch)
	batch := make([]*fetch, n)
	copy(batch, q.fetches)
	rest := copy(q.fetches, q.fetches[n:])
	clear(q.fetches[rest:])
	q.fetches = q.fetches[:rest]
	q.mu.Unlock()
	if rest > 0 {
		q.rouse()
	}
	return batch
}

// send is a goroutine that sends what is queued until the Limiter is closed. While it waits
// for Redis, what comes is sent by others, or together afterwards.
func (l *Limiter) send() {
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.queue.wake:
			if batch := l.queue.next(); len(batch) > 0 {
				l.exchange(batch)
			}
		}
	}
}

// patience is how long a round trip is waited for, if Config.Timeout is less. That has long
// failed by then, but a connection that is far away gets the time to be made.
const patience = time.Second

// guard limits a round trip that begins now. It fails for the breaker after Config.Timeout,
// and is given up when ctx ends.
func (l *Limiter) guard(permit breaker.Permit) (ctx context.Context, done func()) {
	ctx, cancel := context.WithTimeout(l.ctx, max(patience, l.cfg.Timeout))
	late := time.AfterFunc(l.cfg.Timeout, func() { permit.Record(breaker.Failure) })
	return ctx, func() {
		late.Stop()
		cancel()
	}
}

// exchange makes one round trip for all fetches of a batch.
func (l *Limiter) exchange(batch []*fetch) {
	permit, err := l.link.breaker.Allow()
	sent := l.clock()
	for _, f := range batch {
		f.sent, f.err = sent, err
	}
	if err == nil {
		ctx, done := l.guard(permit)
		run(ctx, l.client, batch)
		done()
		l.roundTrips.Add(1)
		l.fetches.Add(uint64(len(batch)))
		permit.Record(l.outcome(batch))
	}
	now := l.clock()
	if err == nil {
		l.trip.Store((3*l.trip.Load() + now - sent) / 4)
	}
	for _, f := range batch {
		f.entry.finish(now, f)
	}
}

// outcome says what the answers mean for the breaker: one that Redis could give says that it
// is there, and what ended because the Limiter was closed says nothing.
func (l *Limiter) outcome(batch []*fetch) breaker.Result {
	for _, f := range batch {
		if f.err == nil {
			return breaker.Success
		}
	}
	if l.ctx.Err() != nil {
		return breaker.Ignored
	}
	return breaker.Failure
}

// untilReply is how long an answer takes, about.
func (l *Limiter) untilReply() int64 {
	return min(max(l.trip.Load(), int64(time.Millisecond)/4), l.timeout)
}
