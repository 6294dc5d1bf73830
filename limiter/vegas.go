package limiter

import (
	"math"
	"time"
)

// Vegas and Gradient look at the mean time of the successes of half a second, ten of them
// at least: single times vary more than queues do.
const (
	rttWindow  = int64(500 * time.Millisecond)
	rttSamples = 10
)

// Each so many windows the limit is halved for one, so that the time without load is
// measured without load. A queue that fills half the limit is then seen as such: what the
// probe finds is at most half of what it was, which both algorithms cut at.
const probeEach = 30

func rttPlan(limit float64, why Reason) plan {
	return plan{limit: limit, why: why, samples: rttSamples, least: rttWindow}
}

// A prober says when to measure without load.
type prober struct {
	windows int
	back    float64 // the limit to go back to; 0: no probe is under way
}

// level is the limit without a probe.
func (p *prober) level(limit float64) float64 {
	if p.back > 0 {
		return p.back
	}
	return limit
}

// probe returns the plan of a probe if one is due after w.
func (p *prober) probe(w window, limit float64, b bounds) (plan, bool) {
	if !w.binds() {
		return plan{}, false // there is no load to be rid of
	}
	if p.windows++; p.windows < probeEach {
		return plan{}, false
	}
	p.windows, p.back = 0, limit
	pl := rttPlan(b.clamp(limit/2), Probe)
	pl.settle = int64(2e9 * w.mean())
	return pl, true
}

// after returns the plan that follows a probe.
func (p *prober) after(w window) plan {
	pl := rttPlan(p.back, Probed)
	pl.settle = int64(2e9 * w.mean())
	p.back = 0
	return pl
}

// vegas keeps the queue at the downstream, estimated from the time without load, between
// lg and 6 lg calls.
type vegas struct {
	bounds
	prober
	noload float64 // seconds; 0: not known
}

func (v *vegas) configure(c Config) { v.bounds = boundsOf(c) }

func (v *vegas) baseline() float64 { return v.noload }

func (v *vegas) next(w window) plan {
	if w.total() == 0 {
		v.back = 0
		return rttPlan(v.clamp(w.limit), Grew)
	}
	if v.back > 0 {
		if w.n > 0 {
			v.noload = w.mean()
		}
		return v.after(w)
	}
	if rtt := w.mean(); w.n > 0 && (v.noload == 0 || rtt < v.noload) {
		v.noload = rtt
	}
	limit := w.limit
	if w.n > 0 || w.drops > 0 {
		limit = v.clamp(vegasStep(w.limit, v.noload, w.mean(), w.inflight, w.drops > 0))
	}
	if p, ok := v.probe(w, limit, v.bounds); ok {
		return p
	}
	return rttPlan(limit, v.why(w, limit))
}

func (v *vegas) why(w window, limit float64) Reason {
	switch {
	case w.drops > 0:
		return Dropped
	case limit < w.limit:
		return Queued
	}
	return Grew
}

// vegasStep is the update as published; times are in any one unit.
func vegasStep(limit, noload, rtt float64, inflight int, drop bool) float64 {
	lg := max(1, math.Floor(math.Log10(limit)))
	if drop {
		return limit - lg
	}
	if 2*float64(inflight) < limit {
		return limit
	}
	switch queue := math.Ceil(limit * (1 - noload/rtt)); {
	case queue <= lg:
		return limit + 6*lg
	case queue < 3*lg:
		return limit + lg
	case queue > 6*lg:
		return limit - lg
	}
	return limit
}
