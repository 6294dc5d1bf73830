package limiter

import "time"

// Outcome is what a call tells about the downstream when it ends.
type Outcome uint8

// The outcomes.
const (
	Ignore  Outcome = iota // nothing: cancelled by the caller, or it failed for reasons of its own
	Success                // it was served; how long it took is learned from
	Drop                   // overload: it timed out, or the downstream said that it has too much
)

// A Permit is the right to one call. It is a value: copies are the same permit, and
// whichever is released first gives it back. The zero Permit is none; releasing it does
// nothing. It is safe for concurrent use.
//
// A permit that is never released is lost for ever, so release it in a defer as well; the
// first release counts:
//
//	defer p.Release(limiter.Ignore) // whatever happens
type Permit struct {
	l     *Limiter
	use   uint64 // of the slot; another use is another permit
	start int64
	slot  uint32
}

// Release gives the permit back and says how the call ended. Only the first Release of a
// permit does anything. An unknown outcome is taken as Ignore.
func (p Permit) Release(o Outcome) {
	if p.l != nil {
		p.l.release(p, p.l.now(), o)
	}
}

// ReleaseAt is Release at a time that the caller names. A time before the start of the
// permit gives it back, and nothing is learned from it.
func (p Permit) ReleaseAt(now time.Time, o Outcome) {
	if p.l != nil {
		p.l.release(p, p.l.at(now), o)
	}
}

// Start returns when the permit was acquired; the zero time for the zero Permit.
func (p Permit) Start() time.Time {
	if p.l == nil {
		return time.Time{}
	}
	return p.l.epoch.Add(time.Duration(p.start))
}

// Elapsed returns how long ago that was; 0 for the zero Permit.
func (p Permit) Elapsed() time.Duration {
	if p.l == nil {
		return 0
	}
	return time.Duration(p.l.now() - p.start)
}

// Slots hold what must be known of each permit that is out. A slot is used again, and its
// use counted, so that a permit can tell that it has been released, without allocating.
type slots struct {
	all  []slot
	free uint32 // the first of a chain, counted from 1; 0: none
}

type slot struct {
	use      uint64 // odd while a permit is out
	inflight uint32 // permits out when this one was acquired, itself included
	next     uint32 // in the chain of free ones
}

func (s *slots) take(inflight int) (id uint32, use uint64) {
	if s.free == 0 {
		s.all = append(s.all, slot{})
		s.free = uint32(len(s.all))
	}
	id = s.free - 1
	e := &s.all[id]
	s.free = e.next
	e.use++
	e.inflight = uint32(inflight)
	return id, e.use
}

// giveBack returns false if the permit has been released.
func (s *slots) giveBack(id uint32, use uint64) (inflight int, ok bool) {
	e := &s.all[id]
	if e.use != use {
		return 0, false
	}
	e.use++
	e.next, s.free = s.free, id+1
	return int(e.inflight), true
}
