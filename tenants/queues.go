package tenants

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Queues holds items in one bounded queue per tenant and class, first in first out, and
// decides whose turn it is. Most callers want NewQueues, Push, Next and Done. All methods
// may be called by any number of goroutines at once.
type Queues[T any] struct {
	config Config

	// mu is held by every method but Holding, Len and Deepest, for a bounded time: no user
	// code runs and nothing blocks under it. Only unlock gives it up, as it announces what
	// has changed. All fields down to closed are guarded by it.
	mu        sync.Mutex
	s         *scheduler
	lists     []list[T] // by id of the scheduler's queues
	store     store[T]
	def       Policy
	defLimits *limits // of def
	policyFor func(string, *Policy)
	overrides map[string]Policy
	round     uint64    // Reconfigures so far
	changes   uint64    // of the policy of single tenants so far
	epoch     time.Time // the first time seen; the scheduler counts from here
	now       int64     // the last time seen
	sleepers  sleepers
	alarm     alarm
	dismissed int  // callers of Next that are to go
	sealed    bool // nothing more is pushed, and Next ends when nothing is queued
	closed    bool // sealed, and what was queued has been returned

	// summary is what is read without the lock. It is one word, as each store of one
	// waits for all the memory that was written before.
	summary atomic.Uint64
}

// A summary says in one word how many items are queued, whether a queue holds, and of
// what power of two the depth of the deepest is.
type summary uint64

func (s *scheduler) summary() summary {
	sum := summary(s.queued)<<8 | summary(s.depths.top)<<1
	if s.holds > 0 {
		sum |= 1
	}
	return sum
}

func (s summary) holding() bool { return s&1 == 1 }
func (s summary) queued() int   { return int(s >> 8) }

// deepest is at least the depth of the deepest queue, and less than twice that.
func (s summary) deepest() int { return 1<<(s>>1&0x7f) - 1 }

// NewQueues returns empty queues, or all that is wrong with c.
func NewQueues[T any](c Config) (*Queues[T], error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("tenants: %w", err)
	}
	return &Queues[T]{
		config:    c,
		s:         newScheduler(c),
		def:       c.Default,
		defLimits: c.Default.limits(),
		policyFor: c.PolicyFor,
		overrides: make(map[string]Policy),
	}, nil
}

// Push queues v, of size bytes, as the last of its tenant and class. It never blocks. It
// returns ErrShed if the queue is at its high mark, or was and is not yet down to its low
// mark; ErrFull if a total bound is reached, or Queue while it holds within a time;
// ErrClosed after Close; or what is wrong with the policy that PolicyFor gave the tenant.
// With an error nothing is queued. ErrShed and ErrFull are counted for the tenant.
func (q *Queues[T]) Push(tenant, class string, v T, size int) error {
	return q.PushAt(time.Now(), tenant, class, v, size)
}

// PushAt is Push at a given time.
func (q *Queues[T]) PushAt(now time.Time, tenant, class string, v T, size int) error {
	return q.push(now, tenant, class, v, size, true)
}

// PutAt queues v as Push does, but in spite of the watermark and of Queue: it is for what
// was refused before, was kept elsewhere and comes back now that there is room for it,
// which Space tells. It does not make the queue shed or hold.
func (q *Queues[T]) PutAt(now time.Time, tenant, class string, v T, size int) error {
	size = max(0, size)
	q.mu.Lock()
	at := q.tick(now)
	t, err := q.known(at, tenant)
	if err == nil && q.s.full(size) {
		t.refused(ErrFull)
		err = ErrFull
	}
	if err != nil {
		q.unlock()
		return err
	}
	q.enqueue(at, now, q.s.queueOf(t, class), v, size)
	q.wake()
	q.setAlarm(at)
	q.unlock()
	return nil
}

// push is PushAt; whether a refusal counts is for the caller to say.
func (q *Queues[T]) push(now time.Time, tenant, class string, v T, size int, counts bool) error {
	size = max(0, size)
	q.mu.Lock()
	at := q.tick(now)
	t, err := q.known(at, tenant)
	if err != nil {
		q.unlock()
		return err
	}
	qu := q.s.queueOf(t, class)
	if err := q.s.admit(at, qu, size); err != nil {
		if counts {
			t.refused(err)
		}
		q.setAlarm(at)
		q.unlock()
		return err
	}
	q.enqueue(at, now, qu, v, size)
	q.s.mark(at, qu)
	q.wake()
	q.setAlarm(at)
	q.unlock()
	return nil
}

// enqueue appends v to qu. It requires mu.
func (q *Queues[T]) enqueue(at int64, now time.Time, qu *queue, v T, size int) {
	n := q.store.get()
	n.arrived, n.size, n.value = now, size, v
	n.order = q.s.add(at, qu, size)
	q.list(qu).push(n)
}

func (t *tenant) refused(err error) {
	if errors.Is(err, ErrShed) {
		t.shed++
	} else {
		t.full++
	}
}

// known returns the tenant of that name, and makes it known if it is not. It requires
// mu, which it gives up while it calls PolicyFor.
func (q *Queues[T]) known(at int64, name string) (*tenant, error) {
	for {
		if q.sealed {
			return nil, ErrClosed
		}
		if t := q.s.tenants[name]; t != nil {
			return t, nil
		}
		p, fixed := q.overrides[name]
		if !fixed {
			p = q.def
		}
		if !fixed && q.policyFor != nil {
			round, changes, f := q.round, q.changes, q.policyFor
			q.unlock()
			var err error
			p, err = q.ask(f, name, p)
			q.mu.Lock()
			if err != nil {
				return nil, err
			}
			if q.round != round || q.changes != changes || q.s.tenants[name] != nil || q.sealed {
				continue
			}
		}
		t := q.s.meet(at, name, q.limits(p))
		t.round = q.round
		return t, nil
	}
}

// ask returns the policy that f makes of def for a tenant. It must be called without mu.
func (q *Queues[T]) ask(f func(string, *Policy), tenant string, def Policy) (Policy, error) {
	p := def
	f(tenant, &p)
	p, err := q.valid(p)
	if err != nil {
		return p, fmt.Errorf("tenants: PolicyFor(%q): %w", tenant, err)
	}
	return p, nil
}

// limits requires mu, and that p is valid.
func (q *Queues[T]) limits(p Policy) *limits {
	if p == q.def {
		return q.defLimits
	}
	return p.limits()
}

func (q *Queues[T]) valid(p Policy) (Policy, error) {
	return p.withDefaults(q.config.Messages, q.config.Bytes)
}

// list returns the items of qu.
func (q *Queues[T]) list(qu *queue) *list[T] {
	for int(qu.id) >= len(q.lists) {
		q.lists = append(q.lists, list[T]{})
	}
	return &q.lists[qu.id]
}

// at returns t as ns since the epoch, which is the first time ever seen. It requires mu.
func (q *Queues[T]) at(t time.Time) int64 {
	if q.epoch.IsZero() {
		q.epoch = t
	}
	return min(max(0, int64(t.Sub(q.epoch))), maxTime)
}

// tick is at for the present time. It requires mu.
func (q *Queues[T]) tick(now time.Time) int64 {
	q.now = q.at(now)
	return q.now
}

const maxTime = 1 << 62

// Holding reports whether a queue whose policy is to hold is past its high mark and not
// yet down to its low mark: the source of items is to be stopped. It takes no lock.
func (q *Queues[T]) Holding() bool { return summary(q.summary.Load()).holding() }

// Len returns how many items are queued, running ones not counted. It takes no lock.
func (q *Queues[T]) Len() int { return summary(q.summary.Load()).queued() }

// Deepest returns about how many items the fullest queue has: at least as many, and less
// than twice as many. It takes no lock.
func (q *Queues[T]) Deepest() int { return summary(q.summary.Load()).deepest() }

// Bytes returns how many bytes are queued, running items not counted.
func (q *Queues[T]) Bytes() int64 {
	q.mu.Lock()
	defer q.unlock()
	return q.s.bytes
}

// Close ends all: Push and Next return ErrClosed from now on. It returns what was still
// queued, each queue in its order; nil when closed before. Done may still be called.
func (q *Queues[T]) Close() []T {
	q.mu.Lock()
	var left []T
	for _, t := range q.s.byID {
		if t == nil {
			continue
		}
		for _, qu := range t.queues {
			left = q.empty(qu, left)
		}
	}
	q.sealed, q.closed = true, true
	q.sleepers.rouseAll()
	q.alarm.stop()
	q.unlock()
	return left
}

// seal ends Push, and Next as soon as nothing is queued.
func (q *Queues[T]) seal() {
	q.mu.Lock()
	q.sealed = true
	if q.s.queued == 0 {
		q.sleepers.rouseAll()
	}
	q.unlock()
}

// unlock publishes what is read without the lock, gives mu up, and then wakes who is to
// be woken and announces a relief.
func (q *Queues[T]) unlock() {
	was, is := summary(q.summary.Load()), q.s.summary()
	if is != was {
		q.summary.Store(uint64(is))
	}
	woken, eased := q.sleepers.take(), q.s.eased
	q.s.eased = false
	q.mu.Unlock()
	woken.signal()
	if (eased || was.holding() && !is.holding()) && q.config.OnRelief != nil {
		q.config.OnRelief()
	}
}
