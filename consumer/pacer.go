package consumer

import (
	"sync"
	"time"
)

// pacer spreads what is handed back over the time in which the queue it is for will
// have room: one message for each that leaves the queue.
type pacer struct {
	mu     sync.Mutex
	queues map[string]*pace // by tenant
	buckets
}

// pace is how one tenant's messages are handed back.
type pace struct {
	due   time.Time     // of the last one
	every time.Duration // between two
	first time.Duration // until the queue has room
	at    time.Time     // when every and first were learned
}

// paceFresh is for how long what was learned of a queue is good enough.
const paceFresh = time.Millisecond

// next returns for how long to hand back a message of tenant.
func (p *pacer) next(tenant string, departures func(tenant string) (every, first time.Duration), now time.Time) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	q := p.queues[tenant]
	if q == nil {
		p.forget(now)
		q = new(pace)
		p.queues[tenant] = q
	}
	if now.Sub(q.at) > paceFresh {
		q.every, q.first = departures(tenant)
		q.at = now
	}
	if first := now.Add(q.first); q.due.Before(first) {
		q.due = first
	}
	q.due = q.due.Add(q.every)
	if latest := now.Add(maxDelay); q.due.After(latest) {
		q.due = latest
	}
	return q.due.Sub(now)
}

// forget drops the queues that nobody was handed back to lately, when there are many.
// It requires that mu is held.
func (p *pacer) forget(now time.Time) {
	if p.queues == nil {
		p.queues = make(map[string]*pace)
	}
	if len(p.queues) < 1024 {
		return
	}
	for tenant, q := range p.queues {
		if q.due.Before(now) {
			delete(p.queues, tenant)
		}
	}
}

// leave counts a message that is away for wait.
func (p *pacer) leave(now time.Time, wait time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.add(now, wait)
}

// away returns how many are away.
func (p *pacer) away(now time.Time) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.sum(now)
}

// bucketWidth is the resolution of buckets.
const bucketWidth = 100 * time.Millisecond

// buckets count what is due in the time to come, by tenths of a second.
type buckets struct {
	counts [int(maxDelay/bucketWidth) + 2]int
	total  int
	at     int64     // number of the bucket that is due now
	epoch  time.Time // they count from here, so that a clock that is set does not matter
}

func (b *buckets) add(now time.Time, wait time.Duration) {
	b.roll(now)
	i := (b.at + int64(wait/bucketWidth) + 1) % int64(len(b.counts))
	b.counts[i]++
	b.total++
}

func (b *buckets) sum(now time.Time) int {
	b.roll(now)
	return b.total
}

// roll forgets what was due by now.
func (b *buckets) roll(now time.Time) {
	if b.epoch.IsZero() {
		b.epoch = now
	}
	at := int64(now.Sub(b.epoch) / bucketWidth)
	for steps := 0; b.at < at && steps < len(b.counts); steps++ {
		b.at++
		i := b.at % int64(len(b.counts))
		b.total -= b.counts[i]
		b.counts[i] = 0
	}
	b.at = max(b.at, at)
}
