package breaker

import (
	"math"
	"time"
)

// A step back of more than tolerance is one of the clock; less is a time that was read
// before another, and used after it.
const tolerance = int64(time.Second)

// A steady clock never goes back, whatever the callers' clock does.
type steady struct {
	last   int64
	offset int64 // steady time less callers' time
}

func newSteady() steady { return steady{last: math.MinInt64 / 2} } // before all times

// tick returns the steady time at now, and how far the callers' clock has stepped back.
func (s *steady) tick(now int64) (t, back int64) {
	t = now + s.offset
	if t >= s.last {
		s.last = t
		return t, 0
	}
	if back = s.last - t; back <= tolerance {
		return s.last, 0
	}
	s.offset += back
	return s.last, back
}

// tick returns the steady time at now. It requires mu.
func (b *Breaker) tick(now int64) int64 {
	t, back := b.clock.tick(now)
	if back > 0 {
		b.seal()
		b.phase.Store(b.phase.Load().shifted(b, back))
	}
	return t
}

// raw returns a steady time in the callers' clock. It requires mu.
func (b *Breaker) raw(t int64) int64 { return t - b.clock.offset }
