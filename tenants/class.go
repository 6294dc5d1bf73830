package tenants

import (
	"strings"
	"time"
)

// A class is a set of queues that may run or may not, and a heap of those of its queues
// whose tenants let them run.
type class struct {
	name     string
	open     bool // may says so; what goes by it costs one look
	left     int  // items that may still start before it closes; unbounded: any number
	limit    int  // most items running at once; 0: no bound
	heap     heap
	floor    float64 // nothing of the class starts at an earlier virtual time
	closedAt float64 // virtual time when it was closed
	queued   int
	running  int
	bytes    int64

	ready      int     // items in heap, which wait for nothing but their turn
	readyBytes int64   // of these
	cost       float64 // mean service time, ns; 0: not measured
	paced      float64 // most items that start in a ns, as far as the soft bound is concerned; 0: not known
	burst      float64 // and at once
	learned    int     // items that cost is the mean service time of, up to costMemory
	tight      bool    // a queue of it got less than its marks, by the soft bound
	pressed    bool    // for that reason the source is to be stopped
}

// unbounded is class.left of a class that is simply open.
const unbounded = -1

// may reports whether something of the class may start.
func (c *class) may() bool {
	return c.left != 0 && (c.limit == 0 || c.running < c.limit)
}

// due is the key by which the class competes with others; its heap must not be empty.
func (c *class) due() key {
	k := c.heap.entries[0].key
	k.rank = max(k.rank, rankOf(c.floor))
	return k
}

// classOf returns the class of that name; an unknown one begins to exist, open.
func (s *scheduler) classOf(name string) *class {
	for _, c := range s.classes {
		if c.name == name {
			return c
		}
	}
	c := &class{name: strings.Clone(name), open: true, left: unbounded}
	s.classes = append(s.classes, c)
	return c
}

// started counts one more running item of c.
func (s *scheduler) started(c *class) {
	c.running++
	if c.left > 0 {
		s.setLeft(c, c.left-1)
	}
	s.turn(c)
}

// ended counts one running item of c less.
func (s *scheduler) ended(c *class) {
	c.running--
	s.turn(c)
}

// turn opens or closes c, as may says. Its queues stay where they are, with tags that grow
// old. So a class that opens sets a floor: no queue of it is further behind virtual time
// than the one that was furthest behind when it closed. If virtual time has not moved
// there is nothing to make up for.
func (s *scheduler) turn(c *class) {
	open := c.may()
	if c.open == open {
		return
	}
	c.open = open
	switch {
	case !open:
		c.closedAt = s.v
	case s.v > c.closedAt:
		lag := 0.0
		if len(c.heap.entries) > 0 {
			lag = max(0, c.closedAt-tagOf(c.due().rank))
		}
		c.floor = max(c.floor, s.v-lag)
	}
}

// SetOpen opens or closes a class. The items of a closed one wait; it costs the same
// however many there are. A class exists, and is open, from when it is first named.
func (q *Queues[T]) SetOpen(name string, open bool) {
	left := 0
	if open {
		left = unbounded
	}
	q.change(name, func(c *class) { q.s.setLeft(c, left) })
}

// OpenFor opens a class for n items: when as many have started it is closed again, before
// anybody can start another. It is for what must be had one by one, as a probe of a service
// that was down; n replaces what was left of an earlier one.
func (q *Queues[T]) OpenFor(name string, n int) {
	q.change(name, func(c *class) { q.s.setLeft(c, max(0, n)) })
}

// SetLimit lets at most n items of a class run at once; 0 or less is no bound, as at first.
// If more are running already, nothing of it starts until fewer than n are.
func (q *Queues[T]) SetLimit(name string, n int) {
	q.change(name, func(c *class) { c.limit = max(0, n) })
}

// SetPace says that no more than r of a class start in a time, for the soft bound only: it
// keeps nothing from starting. The zero Rate is not known.
func (q *Queues[T]) SetPace(name string, r Rate) {
	q.change(name, func(c *class) {
		c.paced, c.burst = 0, 0
		if r, err := r.withDefaults(); err == nil && r.Events > 0 {
			c.paced, c.burst = r.perNano(), float64(r.Burst)
		}
	})
}

// change requires that f neither blocks nor calls anybody.
func (q *Queues[T]) change(name string, f func(c *class)) {
	q.mu.Lock()
	c := q.s.classOf(name)
	f(c)
	q.s.turn(c)
	q.wake()
	q.unlock()
}

// Return ends the run of j as if it had never been started: its tenant is charged nothing
// and has its token back, and j's Value is at the head of its queue again, to start at once.
// It is for whoever finds, with the item at hand, that it cannot run now after all. The
// result is that of Requeue. Of OpenFor nothing is given back.
func (q *Queues[T]) Return(now time.Time, j Job[T]) bool {
	q.mu.Lock()
	defer q.unlock()
	at := q.tick(now)
	qu, r, ok := q.s.undo(at, j.run, j.gen)
	return ok && q.putBack(at, qu, r, j, at)
}
