package tenants

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Soft bounds how much may wait, beyond the marks of each queue, so that many tenants that
// flood do not together take the room of those that come later. What is beyond it is shed
// like what is beyond a high mark. The zero Soft is no bound.
//
// Of one class may wait as much as keeps busy all that run at once, once over and for Delay
// more:
//
//	soft = n + Delay·pace     n: Workers, or as many as SetLimit allows
//	                          pace: n/mean service time, or what SetPace says if that is less
//
// What runs is not counted, so that workers whose items take longer than Delay still have
// the next one at hand. A queue alone takes soft. If there are more, each takes twice what
// is left of one and a half times soft, or of Messages or Bytes if these are nearer: with k
// queues that want more, each gets the 2/(2k+1)th part of that, and there is always some
// left. It may have one item in any case. No bound but Messages and Bytes
// applies as long as no service time is known, and none at all to a class whose items that
// wait would be gone in 20 ms. A tenant with a MaxInFlight or a Rate has a soft bound of its
// own besides, from these.
//
// What waits and may not start at present, because its tenant or its class is held back by
// something else than workers, shares a half of Messages and Bytes in the same way, and
// nothing more is taken when it is used up. What was taken while it could start stays; who
// sees with Blocked that it is too much can Take it out.
//
// The rule is that of dynamic thresholds for buffers shared by the queues of a switch
// (Choudhury and Hahne, 1998).
type Soft struct {
	Delay    time.Duration // how long items should wait at most
	Workers  int           // items that can run at once
	Messages int           // items that may wait in all; default a half of Config.Messages
	Bytes    int64         // bytes that may wait in all; default a half of Config.Bytes
}

const (
	softShare = 2                              // how many times what is left a queue takes
	softGrace = float64(20 * time.Millisecond) // within which what waits is gone anyway
)

// withDefaults returns s with its zero fields filled in, and all that is wrong with it.
func (s Soft) withDefaults(messages int, bytes int64) (Soft, error) {
	if s == (Soft{}) {
		return s, nil
	}
	err := errors.Join(atLeastZero("Config.Soft.Messages", int64(s.Messages)), atLeastZero("Config.Soft.Bytes", s.Bytes))
	if s.Delay <= 0 {
		err = errors.Join(err, fmt.Errorf("Config.Soft.Delay is %v: must be above 0", s.Delay))
	}
	if s.Workers <= 0 {
		err = errors.Join(err, fmt.Errorf("Config.Soft.Workers is %d: must be above 0", s.Workers))
	}
	s.Messages = orDefault(s.Messages, max(messages/2, 1))
	s.Bytes = orDefault(s.Bytes, max(bytes/2, 1))
	return s, err
}

// A room is what a queue takes.
type room struct {
	high      int   // sheds at so many items
	highBytes int64 // and at so many bytes, unless it is empty
	limited   bool  // by what others have waiting, not by its marks
}

// roomOf returns what q takes at present.
func (s *scheduler) roomOf(q *queue) room {
	t := q.tenant
	r := s.roomIn(t.limits, t.cost, q.class, s.ready(q))
	if r.limited && t.atCap() && s.flows(q) { // blocked for a moment, at any moment
		r.raise(t.limits, s.soon(t))
	}
	return r
}

// flows reports that what q waits for are runs of its own tenant.
func (s *scheduler) flows(q *queue) bool {
	return q.class.left != 0 && !q.tenant.limits.paused && !q.tenant.dry && !s.delayed.has(q.id)
}

// soon is how many items of a tenant with a cap run within softGrace, one at least.
func (s *scheduler) soon(t *tenant) int {
	if t.cost == 0 {
		return 1
	}
	return int(math.Ceil(min(float64(t.limits.cap)/t.cost*softGrace, math.MaxInt32/2)))
}

// roomIn returns what a queue of c takes, whose tenant has the limits l and the mean service
// time cost, and which waits for its turn alone if ready.
func (s *scheduler) roomIn(l *limits, cost float64, c *class, ready bool) room {
	r := room{high: l.high, highBytes: l.highBytes}
	if s.soft.Delay == 0 || !ready && l.hold {
		return r
	}
	if l.cap > 0 || l.policy.Events > 0 {
		r.lower(s.ownSoft(l, cost))
	}
	if ready && s.quick(c) {
		return r
	}
	items, bytes := s.leftForBlocked()
	least := 0
	if ready {
		items, bytes = s.leftFor(c)
		least = 1
	}
	r.lower(max(softShare*items, least))
	if high := max(softShare*bytes, 0); high < r.highBytes {
		r.highBytes, r.limited = high, true
	}
	return r
}

func (r *room) lower(high int) {
	if high < r.high {
		r.high, r.limited = high, true
	}
}

// raise lets r take items at least, and as large a part of the bytes, within the marks.
func (r *room) raise(l *limits, items int) {
	items = min(items, l.high)
	r.high = max(r.high, items)
	r.highBytes = max(r.highBytes, int64(float64(l.highBytes)*float64(items)/float64(l.high)))
}

// low returns the low marks of q that go with r: in proportion to the high ones.
func (r room) low(l *limits) (items int, bytes int64) {
	if !r.limited {
		return l.low, l.lowBytes
	}
	items = int(int64(r.high) * int64(l.low) / int64(l.high))
	bytes = l.lowBytes
	if r.highBytes < l.highBytes {
		bytes = int64(float64(r.highBytes) * float64(l.lowBytes) / float64(l.highBytes))
	}
	return min(items, max(r.high-1, 0)), bytes
}

// relieved reports whether q is down to its low mark. Of high 0 an empty one is full.
func (r room) relieved(q *queue) bool {
	items, bytes := r.low(q.tenant.limits)
	return q.depth <= items && q.bytes <= bytes && !r.full(q)
}

// full reports whether q is at its high mark.
func (r room) full(q *queue) bool {
	return q.depth >= r.high || q.depth > 0 && q.bytes >= r.highBytes
}

// ready reports that q waits for nothing but its turn and a worker, or would.
func (s *scheduler) ready(q *queue) bool {
	return q.class.left != 0 && !q.tenant.blocked() && !s.delayed.has(q.id)
}

// pace returns how many items of c run at once at most, and how many in a ns; 0: unknown.
func (s *scheduler) pace(c *class) (atOnce, perNano float64) {
	atOnce = float64(s.soft.Workers)
	if c.limit > 0 {
		atOnce = min(atOnce, float64(c.limit))
	}
	if c.cost > 0 {
		perNano = atOnce / c.cost
	}
	if c.paced > 0 && (perNano == 0 || c.paced < perNano) {
		perNano, atOnce = c.paced, min(atOnce, c.burst+c.paced*c.cost)
	}
	return atOnce, perNano
}

// softBound is how much may wait of what so many can run of at once, at this pace.
func (s *scheduler) softBound(atOnce, perNano float64) int {
	if perNano == 0 {
		return math.MaxInt32 / 2
	}
	return int(math.Ceil(min(atOnce+perNano*float64(s.soft.Delay), math.MaxInt32/2)))
}

// softOf is what all queues of c share: one alone, which takes twice what it leaves, gets
// two thirds of it.
func (s *scheduler) softOf(c *class) int { return s.softBound(s.pace(c)) * 3 / 2 }

// ownSoft is the soft bound of a tenant that has a cap or a rate.
func (s *scheduler) ownSoft(l *limits, cost float64) int {
	atOnce, perNano := float64(s.soft.Workers), 0.0
	if l.cap > 0 {
		atOnce = min(atOnce, float64(l.cap))
	}
	if cost > 0 {
		perNano = atOnce / cost
	}
	if p := l.policy; p.Events > 0 {
		atOnce = min(atOnce, float64(p.Burst))
		if rate := p.perNano(); perNano == 0 || rate < perNano {
			perNano = rate
		}
	}
	return s.softBound(atOnce, perNano)
}

// quick reports that what is ready of c will be gone so soon that it is not worth a bound.
func (s *scheduler) quick(c *class) bool {
	_, perNano := s.pace(c)
	return float64(c.ready) <= perNano*softGrace
}

// leftFor is how much more of c may wait for its turn.
func (s *scheduler) leftFor(c *class) (items int, bytes int64) {
	return min(s.softOf(c)-c.ready, s.soft.Messages-s.queued), s.soft.Bytes - s.bytes
}

// leftForBlocked is how much more may wait for something else.
func (s *scheduler) leftForBlocked() (items int, bytes int64) {
	return s.soft.Messages/2 - (s.queued - s.readyItems), s.soft.Bytes/2 - (s.bytes - s.readyBytes)
}

// seat puts q in the heap of its class, or where it now belongs in it.
func (s *scheduler) seat(q *queue) {
	if !q.class.heap.has(q.id) {
		s.tally(q.class, q.depth, q.bytes)
	}
	q.class.heap.put(q.id, key{rankOf(q.tenant.tag), q.order})
}

// unseat takes q out of the heap of its class, if it is in.
func (s *scheduler) unseat(q *queue) {
	if q.class.heap.has(q.id) {
		q.class.heap.remove(q.id)
		s.tally(q.class, -q.depth, -q.bytes)
	}
}

// tally counts what is ready, that is in the heap of its class.
func (s *scheduler) tally(c *class, items int, bytes int64) {
	c.ready += items
	c.readyBytes += bytes
	if c.left != 0 {
		s.readyItems += items
		s.readyBytes += bytes
	}
	switch {
	case c.tight && items < 0:
		s.ease(c)
	case s.jammed && items > 0:
		s.loosen()
	}
}

// setLeft changes how many items of c may start.
func (s *scheduler) setLeft(c *class, n int) {
	if was, is := c.left != 0, n != 0; was != is {
		sign := 1
		if was {
			sign = -1
		}
		s.readyItems += sign * c.ready
		s.readyBytes += int64(sign) * c.readyBytes
	}
	c.left = n
	if c.tight {
		s.ease(c)
	}
	if s.jammed {
		s.loosen()
	}
}

// tighten notes that q got less than its marks. With hold the source is to stop.
func (s *scheduler) tighten(q *queue, hold bool) {
	c := q.class
	if !s.ready(q) {
		s.jammed, q.short = true, true
		return
	}
	c.tight = true
	if hold && !c.pressed {
		c.pressed = true
		s.holds++
	}
}

// loosen announces that queues that may not start at present may take more again, if so.
func (s *scheduler) loosen() {
	if items, _ := s.leftForBlocked(); 4*items >= s.soft.Messages {
		s.jammed, s.eased = false, true
	}
}

// ease announces that queues of c may take more again, if so.
func (s *scheduler) ease(c *class) {
	items, _ := s.leftFor(c)
	most := min(s.softOf(c), s.soft.Messages)
	if c.left != 0 && 2*items < most && !s.quick(c) {
		return
	}
	c.tight, s.eased = false, true
	s.release(c)
}

// release lets the source go on, as far as c is concerned.
func (s *scheduler) release(c *class) {
	if c.pressed {
		c.pressed = false
		s.holds--
	}
}

// learn takes in how long an item of c took.
func (c *class) learn(took float64) {
	if c.learned < costMemory {
		c.learned++
		c.cost += (took - c.cost) / float64(c.learned)
		return
	}
	c.cost += (took - c.cost) / costMemory
}

// costMemory is how many items the mean service time of a class is over.
const costMemory = 64

// SetSoft replaces Config.Soft. If s is not valid it says why, and nothing is changed. What
// already waits stays.
func (q *Queues[T]) SetSoft(s Soft) error {
	s, err := s.withDefaults(q.config.Messages, q.config.Bytes)
	if err != nil {
		return fmt.Errorf("tenants: SetSoft: %w", err)
	}
	q.mu.Lock()
	q.s.setSoft(s)
	q.unlock()
	return nil
}

// setSoft lets all who got less by the old bound look again.
func (s *scheduler) setSoft(to Soft) {
	s.soft = to
	s.jammed, s.eased = false, true
	for _, c := range s.classes {
		c.tight = false
		s.release(c)
	}
}
