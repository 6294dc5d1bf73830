package breaker

import (
	"sync"
	"sync/atomic"
	"time"
)

// Permit is the right to one call. Record must be called once the call has ended, whatever
// became of it; calls beyond the first do nothing, on copies too. The zero Permit has
// nothing to record.
type Permit struct {
	c   *call
	seq uint64
}

// A call is one that was admitted and not recorded. It is used again for another; seq tells
// the permits apart. One that is never recorded is left to the garbage collector.
type call struct {
	seq        atomic.Uint64
	b          *Breaker
	generation uint64
	start      int64 // unread, if nobody will ask
	probe      uint64
	_          [24]byte // a cache line each
}

var calls = sync.Pool{New: func() any { return new(call) }}

func (b *Breaker) permit(generation uint64, start int64, probe uint64) Permit {
	c, _ := calls.Get().(*call)
	c.b, c.generation, c.start, c.probe = b, generation, start, probe
	return Permit{c, c.seq.Load()}
}

// Record says how the call ended.
func (p Permit) Record(r Result) {
	if e, ok := p.end(); ok && e.counts(r) {
		e.b.record(unread, e, r)
	}
}

// RecordAt is Record at now.
func (p Permit) RecordAt(now time.Time, r Result) {
	if e, ok := p.end(); ok && e.counts(r) {
		e.b.record(e.b.nanos(now), e, r)
	}
}

// An ended call is a copy of one that is used again.
type ended struct {
	b          *Breaker
	generation uint64
	start      int64
	probe      uint64
}

// end returns the call to the first who asks.
func (p Permit) end() (ended, bool) {
	c := p.c
	if c == nil || !c.seq.CompareAndSwap(p.seq, p.seq+1) {
		return ended{}, false
	}
	e := ended{c.b, c.generation, c.start, c.probe}
	c.b = nil
	calls.Put(c)
	return e, true
}

// counts reports whether r makes a difference: a probe gives up its place in any case.
func (e ended) counts(r Result) bool { return r == Success || r == Failure || e.probe != 0 }
