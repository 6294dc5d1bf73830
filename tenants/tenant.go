package tenants

import (
	"strings"
	"time"
)

// A tenant is what the scheduler knows of one tenant. What every item needs comes first.
type tenant struct {
	tag     float64 // F: the virtual time at which its next item is due
	cost    float64 // G: decayed mean service time in ns; 0: not measured
	limits  *limits
	queues  []*queue // one per class it has used
	queued  int
	running int
	bytes   int64
	worked  time.Duration
	begun   int64 // sum of the starts of the running ones; it may overflow, differences do not
	name    string

	accepted, finished, shed, full, returned uint64

	bucket bucket // of its rate
	dry    bool   // its rate has no token: the tenant is in the heap of those that wait for one
	turn   bool   // its turn came, and was given back: it is not over
	restAt int64  // when it last had nothing queued or running
	round  uint64 // the Reconfigure that its policy is from
	id     int32

	first      queue     // of the first class, as most tenants have no other
	firstQueue [1]*queue // what queues begins with
}

func (t *tenant) idle() bool { return t.queued == 0 && t.running == 0 }

// blocked reports that the tenant's own policy lets nothing more of it start.
func (t *tenant) blocked() bool {
	return t.limits.paused || t.dry || t.atCap()
}

func (t *tenant) atCap() bool { return t.limits.cap > 0 && t.running >= t.limits.cap }

// contends reports that the tenant waits in the heap of an open class, so that its tag
// is up to date: whoever waits nowhere must not earn credit by it.
func (t *tenant) contends() bool {
	for _, q := range t.queues {
		if q.class.open && q.class.heap.has(q.id) {
			return true
		}
	}
	return false
}

// A queue is what the scheduler knows of the items of one tenant in one class. The items
// themselves are in the list of the same id.
type queue struct {
	tenant *tenant
	class  *class
	depth  int
	bytes  int64
	order  uint64  // of its head
	last   int64   // when an item last left, or the first came
	gap    float64 // mean ns between departures while it was not empty; 0: unknown
	paced  int     // departures that gap is the mean of, up to paceMemory
	since  int64   // when it began to hold
	gate   int64   // nothing of it starts before
	id     int32
	mode   mode
	short  bool // it got less than its marks while it could not start
	left   bool // an item has left since the queue was last empty
}

// queueOf returns t's queue in the class of that name.
func (s *scheduler) queueOf(t *tenant, name string) *queue {
	for _, q := range t.queues {
		if q.class.name == name {
			return q
		}
	}
	q := &t.first
	if len(t.queues) > 0 {
		q = new(queue)
	}
	*q = queue{tenant: t, class: s.classOf(name)}
	if n := len(s.freeQueues); n > 0 {
		q.id = s.freeQueues[n-1]
		s.freeQueues = s.freeQueues[:n-1]
		s.queues[q.id] = q
	} else {
		q.id = int32(len(s.queues))
		s.queues = append(s.queues, q)
	}
	t.queues = append(t.queues, q)
	return q
}

// meet makes the scheduler know a tenant it does not know yet.
func (s *scheduler) meet(now int64, name string, l *limits) *tenant {
	t := &tenant{name: strings.Clone(name), limits: l, restAt: now, bucket: l.fullBucket(now)}
	t.queues = t.firstQueue[:0]
	if n := len(s.freeTenants); n > 0 {
		t.id = s.freeTenants[n-1]
		s.freeTenants = s.freeTenants[:n-1]
		s.byID[t.id] = t
	} else {
		t.id = int32(len(s.byID))
		s.byID = append(s.byID, t)
	}
	s.tenants[t.name] = t
	s.idle++
	s.sweep(now, t)
	return t
}

// rest notes that t has nothing queued or running any more. When that is so for all,
// the busy period is over: nobody has waited for those ahead of virtual time, so their
// debts end with it.
func (s *scheduler) rest(now int64, t *tenant) {
	t.restAt = now
	s.idle++
	if s.queued == 0 && s.running == 0 {
		s.v = max(s.v, s.peak)
	}
	s.sweep(now, t)
}

// rouse notes that t has something queued again. What was measured of it ends when it
// could have been forgotten, so that it makes no difference whether it was.
func (s *scheduler) rouse(now int64, t *tenant) {
	s.idle--
	t.turn = false
	if !s.forgettable(now, t) {
		return
	}
	t.cost = 0
	for _, q := range t.queues {
		q.gap, q.paced = 0, 0
	}
}

func (s *scheduler) forgettable(now int64, t *tenant) bool {
	return t.tag <= s.v && now-t.restAt >= s.forgetAfter && t.limits.isFull(t.bucket, now)
}

// sweep forgets what it can of the next few tenants, and so many that at most maxIdle
// idle ones are left; never keep, which the caller is about to use.
func (s *scheduler) sweep(now int64, keep *tenant) {
	if s.keepAll {
		return
	}
	for range 2 {
		if t := s.nextByID(); t != nil && t != keep && t.idle() && s.forgettable(now, t) {
			s.forget(t)
		}
	}
	for s.idle > s.maxIdle {
		s.forgetOne(keep)
	}
}

// forgetOne forgets the idle tenant with the least tag among the next few. If that one
// is in debt, virtual time moves up to its tag: the debt is then none, and tenants yet to
// come start behind it. So a stream of new names can neither fill the memory nor keep
// starting before everybody else.
func (s *scheduler) forgetOne(keep *tenant) {
	var least *tenant
	for seen, looked := 0, 0; looked < len(s.byID) && seen < 32; looked++ {
		t := s.nextByID()
		if t == nil || t == keep || !t.idle() {
			continue
		}
		seen++
		if least == nil || t.tag < least.tag {
			least = t
		}
		if least.tag <= s.v {
			break
		}
	}
	if least != nil {
		s.v = max(s.v, least.tag)
		s.forget(least)
	}
}

// nextByID moves the hand of the sweep on by one and returns whom it points at.
func (s *scheduler) nextByID() *tenant {
	if s.hand++; s.hand >= len(s.byID) {
		s.hand = 0
	}
	return s.byID[s.hand]
}

// forget requires that t is idle.
func (s *scheduler) forget(t *tenant) {
	for _, q := range t.queues {
		s.delayed.remove(q.id)
		s.queues[q.id] = nil
		s.freeQueues = append(s.freeQueues, q.id)
	}
	s.dry.remove(t.id)
	delete(s.tenants, t.name)
	s.byID[t.id] = nil
	s.freeTenants = append(s.freeTenants, t.id)
	s.idle--
}
