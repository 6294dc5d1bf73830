package consumer

import (
	"errors"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

// suspectTenant is the queue that suspects run from: at once, whatever their tenant
// has waiting, because a suspect that waits is blamed for what others do meanwhile.
// No tenant can be called so: names hold no control characters.
const suspectTenant = "\x00suspect"

// enqueue puts d into its tenant's queue, or sheds it.
func (c *Consumer) enqueue(d *delivery, now time.Time) {
	tenant, class := d.msg.Tenant, d.route.Downstream
	if d.lane.kind == LaneSuspect {
		tenant = suspectTenant
	}
	err := c.queues.PushAt(now, tenant, class, d, d.size)
	switch {
	case err == nil:
	case errors.Is(err, tenants.ErrClosed):
		c.handBack(d, handBackDelay, OutcomeHandBack)
	default:
		c.observers.shed(d.msg.Tenant, OverflowDelay)
		c.delay(d, now)
	}
}

// The bounds of handing back to shed.
const (
	minDelay        = 20 * time.Millisecond
	maxDelay        = 10 * time.Second // a pace that was slow may recover: nothing calls back what is away
	maxDelayedTimes = 3                // deliveries after which a message is moved instead
)

// delay sheds d: it is handed back until its queue should have room for it. A
// message that comes back for the third time, and any when too many are away, is
// moved to the retry lane, where it waits as long without holding a place of the
// main lane.
func (c *Consumer) delay(d *delivery, now time.Time) {
	wait := c.pacer.next(d.msg.Tenant, c.departures, now)
	if d.msg.Deliveries < maxDelayedTimes && c.pacer.away(now) < int(c.maxAway.Load()) {
		c.pacer.leave(now, wait)
		c.handBack(d, wait, OutcomeDelay)
		return
	}
	if c.movable(d) {
		c.postpone(d, now.Add(wait))
		return
	}
	c.handBack(d, wait, OutcomeDelay)
}

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

// departures is how often a message of a tenant leaves its queue, as measured, but
// never more often than the workers together could take one; and how long it takes
// until half of what is queued has left.
func (c *Consumer) departures(tenant string) (every, first time.Duration) {
	stat, _ := c.queues.Tenant(tenant)
	every = max(stat.Interval, stat.Cost/time.Duration(c.cfg.Workers), time.Microsecond)
	every = min(every, maxDelay)
	return every, max(time.Duration(stat.Queued/2)*every, minDelay)
}

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
