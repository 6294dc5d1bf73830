package limiter

import "time"

// newAlgorithm requires that c is valid and has its defaults.
func newAlgorithm(c Config) algorithm {
	var a algorithm
	switch c.Algorithm {
	case AIMD:
		a = &aimd{}
	case Vegas:
		a = &vegas{}
	case Gradient:
		a = &gradient{}
	case SLO:
		a = &slo{}
	case Fixed, None:
		a = &fixed{}
	default:
		a = &adaptive{}
	}
	a.configure(c)
	return a
}

// bounds are the least and the most limit of an algorithm.
type bounds struct{ min, max float64 }

func boundsOf(c Config) bounds { return bounds{float64(c.Min), float64(c.Max)} }

func (b bounds) clamp(limit float64) float64 { return min(max(limit, b.min), b.max) }

// fixed measures, for Stat, and decides nothing.
type fixed struct{}

func (*fixed) next(w window) plan {
	return plan{limit: w.limit, samples: 100, least: int64(100 * time.Millisecond), most: int64(10 * time.Second)}
}

func (*fixed) configure(Config) {}

func (*fixed) baseline() float64 { return 0 }

func (*fixed) level(limit float64) float64 { return limit }

// aimd adds 1 for each so many successes while the limit binds, and multiplies at a drop.
// Calls that began before the limit was last cut say nothing about what it is now, so one
// burst of drops cuts once.
type aimd struct {
	bounds
	successes int
	backoff   float64
}

func (a *aimd) configure(c Config) {
	a.bounds, a.successes, a.backoff = boundsOf(c), c.Successes, c.Backoff
}

func (*aimd) baseline() float64 { return 0 }

func (*aimd) level(limit float64) float64 { return limit }

// next gets a window that ended with the first drop, or after so many successes.
func (a *aimd) next(w window) plan {
	p := plan{limit: a.clamp(w.limit), samples: a.successes, lates: 1}
	switch {
	case w.drops > 0:
		p.limit, p.why, p.fresh = a.clamp(w.limit*a.backoff), Dropped, true
	case w.n > 0 && w.binds():
		p.limit, p.why = a.clamp(w.limit+1), Grew
	}
	return p
}
