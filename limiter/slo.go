package limiter

import "math"

// slo holds the 99th percentile at or under a target. Of n calls that meet it exactly, the
// number of violations has a binomial distribution with 1 in 100. More of them than chance
// brings once in twenty times is evidence of too many: the limit is cut at once. No more of
// them than 1 in 100, among enough to mean something, is room: it grows. In between,
// nothing is known, and the window goes on.
type slo struct {
	bounds
	target int64
	seen   window  // since the limit last moved
	good   float64 // about where the objective was last met or just missed; 0: never missed
}

const (
	sloShare   = 0.01
	sloDoubt   = 0.05 // how seldom a cut may be mere chance
	sloStep    = 20   // samples between two looks
	sloMost    = 2000 // samples, after which the oldest are forgotten
	sloFirst   = 100  // least that growth needs before the first cut
	sloLater   = 1000 // and after it: with fewer, 1 in 100 and 2 in 100 look alike
	sloBackoff = 0.9  // at most; more is cut when half of the calls are late
	sloGrowth  = 1.25 // per step where nothing is known, or it is known to be safe
)

func (s *slo) configure(c Config) {
	if s.target != int64(c.Target) {
		s.seen = window{}
	}
	s.bounds, s.target = boundsOf(c), int64(c.Target)
}

func (*slo) baseline() float64 { return 0 }

func (*slo) level(limit float64) float64 { return limit }

func (s *slo) next(w window) plan {
	p := plan{limit: s.clamp(w.limit), samples: sloStep, target: s.target}
	s.seen.n += w.n
	s.seen.drops += w.drops
	s.seen.late += w.late
	s.seen.full += w.full
	n, late := s.seen.total(), s.seen.late
	switch {
	case tooMany(late, n):
		share := float64(late) / float64(n)
		p.limit, p.why = s.clamp(min(w.limit-1, w.limit*min(sloBackoff, 1-share/2))), Violated
		p.fresh = true
		if s.good == 0 || w.limit > s.good*sloBackoff {
			s.good = w.limit * sloBackoff
		} // else a fault has brought it here, and says nothing about where it was
	case n >= s.enough(w.limit) && float64(late) <= sloShare*float64(n) && s.seen.binds():
		p.limit, p.why = s.clamp(s.grown(w.limit)), Grew
	case n < sloMost:
		return p
	}
	s.seen = window{}
	return p
}

// enough is how many samples growth needs: few where it was good before.
func (s *slo) enough(limit float64) int {
	switch {
	case s.good == 0:
		return sloFirst
	case limit < s.good/2:
		return sloStep
	}
	return sloLater
}

func (s *slo) grown(limit float64) float64 {
	switch {
	case s.good == 0:
		return max(limit+1, limit*sloGrowth)
	case limit < s.good/2:
		return min(s.good, max(limit+1, limit*sloGrowth))
	}
	s.good = max(s.good, limit)
	return limit + max(1, limit/100)
}

// tooMany reports whether k violations among n calls are too many to be chance: whether
// k or more are less likely than sloDoubt if one call in a hundred is a violation.
func tooMany(k, n int) bool {
	if k < 2 || float64(k) <= sloShare*float64(n) {
		return false // one is always chance
	}
	// The probability of fewer than k, term by term.
	term := math.Pow(1-sloShare, float64(n))
	fewer := 0.0
	for i := range k {
		fewer += term
		term *= float64(n-i) / float64(i+1) * sloShare / (1 - sloShare)
	}
	return 1-fewer < sloDoubt
}
