package breaker

import (
	"math"
	"time"
)

// A step back of more than tolerance is one of the clock; less is a time that was read
// before another, and used after it.
const tolerance = int64(time.Second)

// Times are nanoseconds since the breaker was made, and at most farAway from it: 146 years.
// The difference of any two fits.
const farAway = 1<<62 - 1

// A steady clock never goes back, but steps back with the callers' clock.
type steady struct{ last int64 }

func newSteady() steady { return steady{last: math.MinInt64 / 2} } // before all times

// tick returns the time that counts at now, and how far the callers' clock has stepped
// back. Whoever keeps a time sets it back as far, so that it is as far away as it was.
func (s *steady) tick(now int64) (t, back int64) {
	if now < s.last {
		if back = s.last - now; back <= tolerance {
			return s.last, 0
		}
	}
	s.last = now
	return now, back
}

// earlier is t set back, as far as there are times.
func earlier(t, back int64) int64 { return max(t, back-farAway) - back }

// tick returns the time that counts at now. It requires mu.
func (b *Breaker) tick(now int64) int64 {
	t, back := b.clock.tick(now)
	if back > 0 {
		b.seal()
		b.window.setBack(back)
		b.probes.setBack(back)
		b.phase.Store(b.phase.Load().shifted(b, back))
	}
	return t
}
