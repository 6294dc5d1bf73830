package breaker

import (
	"math"
	"sync/atomic"
)

// A tally counts successes without a lock, while nothing else happens: the window has
// enough results already, so that a success cannot open the breaker, and time has not left
// the bucket that fills. Whoever holds mu moves what has come together into the window
// before looking at it.
//
// A tally that is over is sealed: who adds to it then learns that it was not counted.
type tally struct {
	generation  uint64
	timed       bool
	from, until int64 // in the callers' clock; of the bucket, if timed

	_ [64]byte // what is above stays in every cache, what is below does not
	n atomic.Int64
	_ [56]byte
}

const sealed = math.MinInt64

// add reports whether it has counted a success.
func (y *tally) add(generation uint64, now int64) bool {
	if y == nil || y.generation != generation {
		return false
	}
	if y.timed && (now >= y.until || now < y.from) {
		return false
	}
	return y.n.Add(1) > 0
}

// gather moves the successes of the tally into the window, and ends the tally if the time
// of its bucket is over. It requires mu.
func (b *Breaker) gather(t int64) {
	if y := b.tally.Load(); y != nil {
		if t >= b.window.end() {
			b.seal()
		} else {
			b.window.succeed(y.n.Swap(0))
		}
	}
}

// seal ends the tally. It requires mu.
func (b *Breaker) seal() {
	if y := b.tally.Load(); y != nil {
		b.window.succeed(y.n.Swap(sealed))
		b.tally.Store(nil)
	}
}

// newTally requires mu, and that the breaker is closed.
func (b *Breaker) newTally(ph *phase, t int64) {
	b.tally.Store(&tally{
		generation: ph.generation, timed: ph.set.timed,
		from: t - tolerance, until: b.window.end(),
	})
}
