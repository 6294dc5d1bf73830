package tenants

import "errors"

// Push and Next return these errors as they are.
var (
	ErrShed   = errors.New("tenants: the queue is shedding")
	ErrFull   = errors.New("tenants: a bound is reached")
	ErrClosed = errors.New("tenants: closed")
)

// A mode is where a queue is with respect to its marks.
//
//	normal --at or above high--> shedding --at or below low--> normal
//	normal --at or above high--> holding  --at or below low--> normal
//	                             holding  --too slow-->        shedding
type mode uint8

const (
	normal mode = iota
	shedding
	holding
)

// admit decides whether q takes one more item.
func (s *scheduler) admit(now int64, q *queue, size int) error {
	if s.full(size) {
		return ErrFull
	}
	fits := q.depth == 0 || int64(size) <= q.tenant.limits.bytes-q.bytes
	if q.mode == normal && fits && (s.soft.Delay == 0 || q.depth == 0 && s.ready(q)) {
		return nil
	}
	return s.admitTo(now, q, fits)
}

// admitTo is admit for a queue that may be shedding or holding, or has to be.
func (s *scheduler) admitTo(now int64, q *queue, fits bool) error {
	l, r := q.tenant.limits, s.roomOf(q)
	if q.mode == normal && (!fits || r.limited && r.full(q)) {
		s.raise(now, q, r)
	}
	s.review(now, q, r)
	switch {
	case q.mode == shedding:
		return ErrShed
	case q.mode == holding && !l.hold && (q.depth >= l.queue || !fits):
		return ErrFull
	}
	return nil
}

// full reports whether the total bounds refuse one more item.
func (s *scheduler) full(size int) bool {
	return s.queued >= s.maxQueued || int64(size) > s.maxBytes-s.bytes
}

// mark is for a queue that an item was pushed to: it may be at its high mark now. Whether it
// is at the soft bound matters when the next one comes.
func (s *scheduler) mark(now int64, q *queue) {
	if l := q.tenant.limits; q.mode == normal && (q.depth >= l.high || q.bytes >= l.highBytes) {
		s.raise(now, q, room{})
	}
}

// add counts one more item, the last of q in order of arrival.
func (s *scheduler) add(now int64, q *queue, size int) uint64 {
	t := q.tenant
	if t.idle() {
		s.rouse(now, t)
	}
	t.accepted++
	s.order++
	if q.depth == 0 {
		q.order = s.order
	}
	s.count(now, q, size)
	return s.order
}

// restore counts an item that comes back; order is that of the head of q with it.
func (s *scheduler) restore(now int64, q *queue, size int, order uint64) {
	q.order = order
	if q.class.heap.has(q.id) {
		s.seat(q)
	}
	s.count(now, q, size)
	s.mark(now, q)
}

// count is for an item that was put in, wherever.
func (s *scheduler) count(now int64, q *queue, size int) {
	n := int64(size)
	s.queued++
	s.bytes += n
	q.tenant.queued++
	q.tenant.bytes += n
	q.class.queued++
	q.class.bytes += n
	q.depth++
	s.depths.rose(q.depth)
	q.bytes += n
	if q.class.heap.has(q.id) {
		s.tally(q.class, 1, n)
	}
	if q.depth == 1 {
		q.last, q.left = now, false
		s.enter(q)
	}
}

// remove is for the head of q, which was taken out; next is the order of the one behind.
func (s *scheduler) remove(now int64, q *queue, size int, next uint64) {
	n := int64(size)
	s.queued--
	s.bytes -= n
	q.tenant.queued--
	q.tenant.bytes -= n
	q.class.queued--
	q.class.bytes -= n
	s.depths.fell(q.depth)
	q.depth--
	q.bytes -= n
	q.order = next
	q.depart(now)
	if q.class.heap.has(q.id) {
		if q.depth == 0 {
			q.class.heap.remove(q.id)
		}
		s.tally(q.class, -1, -n)
	}
	if q.mode != normal {
		s.review(now, q, s.roomOf(q))
	}
}

// How the pace of a queue is learned. Workers pause for a moment now and then, for the
// garbage collector or another program; a pace that one such pause could spoil would make
// a fast queue shed.
const (
	paceMemory = 64 // departures that the mean gap is over
	paceSpike  = 64 // times the mean that one gap counts at most: as many workers may end at once
)

// depart learns the pace of q from an item that leaves it.
func (q *queue) depart(now int64) {
	if q.left {
		gap := float64(max(0, now-q.last))
		if q.paced > 0 {
			gap = min(gap, paceSpike*q.gap)
		}
		q.paced = min(q.paced+1, paceMemory)
		q.gap = max(1, q.gap+(gap-q.gap)/float64(q.paced))
	}
	q.last, q.left = now, q.depth > 0
}

// raise is for a normal queue that has come to its high mark, as r has it.
func (s *scheduler) raise(now int64, q *queue, r room) {
	l := q.tenant.limits
	if r.limited {
		s.tighten(q, l.hold)
	}
	switch {
	case r.limited && l.hold: // the source stops until there is room, whatever becomes of q
	case r.limited:
		q.mode = shedding
	case l.hold:
		q.mode = holding
		s.holds++
	case q.emptiesWithin():
		q.mode, q.since = holding, now
		s.holds++
		s.pledges.put(q.id, key{order: uint64(q.pledge())})
	default:
		q.mode = shedding
	}
}

// leave requires that q is not normal.
func (s *scheduler) leave(q *queue, to mode) {
	if q.mode == holding {
		s.holds--
		s.pledges.remove(q.id)
	}
	s.eased = s.eased || to == normal
	q.mode = to
}

// review lets a queue be normal again that is down to its low mark, as r has it, and one
// shed that holds and did not keep its pledge. That one sheds until its low mark, however
// fast it is: order is more than pace.
func (s *scheduler) review(now int64, q *queue, r room) {
	if q.mode == normal {
		return
	}
	switch {
	case r.relieved(q):
		s.leave(q, normal)
	case q.mode == holding && !q.tenant.limits.hold && now >= q.pledge():
		s.leave(q, shedding)
	}
}

// reviewDue looks at the queues whose pledge has come due with no item leaving.
func (s *scheduler) reviewDue(now int64) {
	for len(s.pledges.entries) > 0 {
		e := s.pledges.entries[0]
		if int64(e.order) > now {
			return
		}
		q := s.queues[e.id]
		if s.review(now, q, s.roomOf(q)); q.mode == holding {
			s.pledges.put(e.id, key{order: uint64(max(q.pledge(), now+1))})
		}
	}
}

// emptiesWithin reports whether q, at its present pace, would empty from its high mark
// within HoldWithin. An unknown pace is trusted: the pledge bounds what that can cost.
func (q *queue) emptiesWithin() bool {
	l := q.tenant.limits
	return l.within > 0 && q.gap*float64(l.high) <= float64(l.within)
}

// holdGrace is how many times HoldWithin a queue that holds is given to come to its low
// mark: enough for a pause of the workers, little enough for those who wait behind it.
const holdGrace = 4

// pledge returns when q, which holds, must have come to its low mark.
func (q *queue) pledge() int64 {
	return min(q.since+holdGrace*min(q.tenant.limits.within, maxTime/8), maxTime)
}

// apply gives t a new policy, at once.
func (s *scheduler) apply(now int64, t *tenant, l *limits) {
	s.refill(now, t, l)
	t.limits = l
	for _, q := range t.queues {
		was := q.mode != normal
		if was {
			s.leave(q, normal)
		}
		r := s.roomOf(q)
		if q.depth > 0 && (r.full(q) || was && !r.relieved(q)) {
			s.raise(now, q, r)
		}
	}
	s.dryUp(now, t)
	if t.blocked() {
		s.withdraw(t)
	} else {
		s.enterAll(t)
	}
}
