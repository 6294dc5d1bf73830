package limiter

// gradient multiplies the limit by the ratio of the long round-trip time and the short
// one, with a tolerance, and adds a queue.
type gradient struct {
	bounds
	prober
	long  longRTT
	floor float64 // what the last probe found, seconds; 0: none yet
}

func (g *gradient) configure(c Config) { g.bounds = boundsOf(c) }

func (g *gradient) baseline() float64 { return g.long.value }

func (g *gradient) next(w window) plan {
	if w.total() == 0 {
		g.back = 0
		return rttPlan(g.clamp(w.limit), Grew)
	}
	if g.back > 0 {
		if w.n > 0 {
			g.floor = w.mean()
		}
		return g.after(w)
	}
	limit, why := w.limit, Grew
	if w.n > 0 {
		short := w.mean()
		long := g.long.add(short)
		if g.floor > 0 {
			long = g.long.atMost(g.floor)
		}
		limit = gradientStep(w.limit, long, short, w.inflight)
	}
	if limit < w.limit {
		why = Queued
	}
	if w.drops > 0 {
		// The published one is blind for drops. What they held was of no use; cut at most
		// half of it at once.
		limit, why = min(limit, w.limit*(1-w.dropShare()/2)), Dropped
	}
	limit = g.clamp(limit)
	if p, ok := g.probe(w, limit, g.bounds); ok {
		return p
	}
	return rttPlan(limit, why)
}

// gradientStep is the update as published; times are in any one unit.
func gradientStep(limit, long, short float64, inflight int) float64 {
	const (
		tolerance = 1.5
		queue     = 4
		smoothing = 0.2
	)
	if 2*float64(inflight) < limit {
		return limit
	}
	g := max(0.5, min(1, tolerance*long/short))
	return limit*(1-smoothing) + smoothing*(limit*g+queue)
}

// longRTT is the mean of the first warmUp values, and then a moving one over longWindows.
type longRTT struct {
	value, sum float64
	n          int
}

const (
	warmUp      = 10
	longWindows = 600
	recovery    = 0.95 // a step down, while it is more than twice the short one
)

func (l *longRTT) add(short float64) float64 {
	if l.n < warmUp {
		l.n++
		l.sum += short
		l.value = l.sum / float64(l.n)
	} else {
		l.value += (short - l.value) * 2 / (longWindows + 1)
	}
	if l.value > 2*short {
		l.value *= recovery
	}
	return l.value
}

func (l *longRTT) atMost(floor float64) float64 {
	l.value = min(l.value, floor)
	return l.value
}
