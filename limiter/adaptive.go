package limiter

import (
	"math"
	"time"
)

// adaptive finds the knee of throughput over concurrency by comparing two limits; the
// package documentation derives it. All times are wall clock, ns.
type adaptive struct {
	bounds
	phase phase
	limit float64 // the operating point; probes go below it
	high  measure // at the operating point
	low   measure // at lowAt
	lowAt float64
	step  float64 // of a climb: factor of the next raise
	depth float64 // of the next probe: factor of the limit
	due   int64   // the next probe
	trend float64 // moving mean of the log of the cost ratio
	again bool    // the next probe is to confirm that there may be room
	floor minimum // of mean times: the best that was seen lately
	lid   lid     // above it, calls were dropped lately
	quiet float64 // share of drops that less load does not cure
	doubt bool    // the last window had too many drops, and may have had a change in it
}

type phase uint8

const (
	climbing phase = iota // raise by factors until the knee is passed
	cruising              // hold, and watch
	probing               // a moment below
	checking              // back: is it as it was before the probe?
	braking               // most calls are dropped
)

const (
	probeEvery   = int64(5 * time.Second)
	probeSamples = 96                            // a probe watches so many calls,
	probeMost    = int64(500 * time.Millisecond) // and no longer than this,
	probeRTTs    = 8                             // or so many round trips if that is more

	probeDepth = 0.85 // how far down a probe goes,
	doubtDepth = 0.75 // after one that found no difference below,
	sinkDepth  = 0.5  // and after two

	climbFirst = 1.25 // the first raise from a cruise; each next is a fifth more,
	climbFast  = 2    // up to this, which is also the first raise of all

	headroom    = 0.5  // times the root of the knee
	prior       = 0.05 // how much the knee moves from probe to probe, as a share of it
	trendWeight = 0.6  // of the last probe
	surge       = 1.5  // a change of the cost by this factor is news
	slack       = 1.5  // no climb from where calls take longer than this times the floor
	crowded     = 3    // less room from where they take longer than this times the floor

	calmDrops = 0.05                   // a share of drops that is nothing to act on
	lidFor    = int64(time.Minute) / 2 // how long a limit is kept that ended drops

	enough = 32 // samples for a look, and
	plenty = 64 // for one that decides
)

func (a *adaptive) configure(c Config) { a.bounds = boundsOf(c) }

func (a *adaptive) baseline() float64 { return a.floor.value() }

func (a *adaptive) level(float64) float64 { return a.limit }

func (a *adaptive) next(w window) plan {
	if w.total() == 0 {
		a.limit, a.phase, a.step = a.clamp(w.limit), climbing, climbFast
		a.high, a.low, a.lowAt = measure{}, measure{}, 0
		return a.tick(Grew)
	}
	if p, ok := a.brake(w); ok {
		return p
	}
	switch a.phase {
	case climbing:
		return a.climb(w)
	case probing:
		return a.probed(w)
	case checking:
		return a.check(w)
	default:
		return a.cruise(w)
	}
}

// tick is a short look at the operating point.
func (a *adaptive) tick(why Reason) plan {
	return plan{limit: a.limit, why: why, samples: enough, least: int64(50 * time.Millisecond), most: int64(time.Second)}
}

// settled is a tick after a change of the limit.
func (a *adaptive) settled(why Reason, rtt float64) plan {
	p := a.tick(why)
	p.settle = int64(2e9 * rtt)
	return p
}

// climb compares each level with the one below until a raise brings less than half of what
// it would without a queue.
func (a *adaptive) climb(w window) plan {
	if !w.binds() {
		return a.tick(Grew)
	}
	a.high.add(w)
	if a.high.n < enough/2 {
		return a.tick(Grew)
	}
	if a.low.n == 0 {
		return a.raise(w)
	}
	ratio, err := a.low.ratio(a.high)
	bar := (1 + a.lowAt/a.limit) / 2
	if a.high.n < plenty && math.Abs(math.Log(ratio/bar)) < 2*err {
		return a.tick(Grew)
	}
	if ratio >= bar {
		return a.raise(w)
	}
	first := a.step == climbFast && ratio < a.lowAt/a.limit*1.15
	knee := a.limit * max(ratio, a.lowAt/a.limit)
	a.limit = a.bound(knee+a.room(knee), w.to)
	p := a.settle(Queued, w)
	if first { // the knee may be anywhere below
		a.depth, a.due = sinkDepth, w.to
	}
	return p
}

func (a *adaptive) raise(w window) plan {
	to := a.bound(max(a.limit+1, a.limit*a.step), w.to)
	if to <= a.limit {
		return a.settle(Grew, w)
	}
	a.low, a.lowAt, a.high = a.high, a.limit, measure{}
	a.limit, a.phase, a.step = to, climbing, min(climbFast, a.step*1.2)
	return a.settled(Grew, w.mean())
}

// settle begins to cruise at the limit.
func (a *adaptive) settle(why Reason, w window) plan {
	a.phase, a.high, a.depth = cruising, measure{}, probeDepth
	a.trend = expected(a.limit)
	a.due = a.slot(w.to, w.mean())
	return a.settled(why, w.mean())
}

// slot is when the next probe is due: at multiples of the period by the wall clock, so
// that processes that share a downstream probe together and see what they all do to it.
// The period doubles until a probe takes an eighth of it at most.
func (a *adaptive) slot(now int64, rtt float64) int64 {
	takes := max(probeMost, int64((2+probeRTTs)*rtt*1e9))
	every := probeEvery
	for every < 8*takes && every < int64(24*time.Hour) {
		every *= 2
	}
	return (now/every + 1) * every
}

func (a *adaptive) cruise(w window) plan {
	if !w.binds() {
		a.high, a.trend = measure{}, 0 // what was known of the knee grows old
		if w.n >= enough/2 {
			a.floor.add(w.mean(), w.to)
		}
		return a.tick(Grew)
	}
	if a.high.n >= plenty && w.n >= enough {
		a.notice(w)
	}
	a.high.add(w)
	a.due = min(a.due, a.slot(w.to, w.mean())) // or a clock that was set back would delay it
	if w.to < a.due || a.high.n < enough {
		return a.tick(Grew)
	}
	return a.probe(w)
}

// notice makes the next probe come at once if the downstream has changed, and go deep if it
// has become slower.
func (a *adaptive) notice(w window) bool {
	up, news := a.high.differs(w)
	if news {
		a.high, a.due = measure{}, w.to
		if up {
			a.depth = doubtDepth
		}
	}
	return news
}

func (a *adaptive) probe(w window) plan {
	to := math.Round(a.limit * a.depth)
	to = max(1, a.min, min(to, math.Round(a.limit)-1))
	rtt := a.high.mean()
	if to >= math.Round(a.limit) { // there is nothing below: look above
		a.step = climbFirst
		return a.raise(w)
	}
	a.phase, a.lowAt = probing, to
	return a.look(to, Probe, probeSamples, rtt)
}

func (a *adaptive) probed(w window) plan {
	a.low = measure{}
	a.low.add(w)
	a.quiet += trendWeight * (w.dropShare() - a.quiet)
	if a.depth == sinkDepth && a.below() {
		return a.sink(w)
	}
	a.phase = checking
	return a.look(a.limit, Probed, probeSamples/2, a.high.mean())
}

// look is a plan to measure what calls cost at a limit.
func (a *adaptive) look(limit float64, why Reason, samples int, rtt float64) plan {
	return plan{
		limit: limit, why: why, samples: samples, settle: int64(2e9 * rtt),
		least: int64(1e9 * rtt), most: max(probeMost, int64(probeRTTs*rtt*1e9)),
	}
}

// check decides, unless what is compared is not the same downstream any more.
func (a *adaptive) check(w window) plan {
	a.phase = cruising
	if a.low.n < enough/4 || !w.binds() {
		a.high, a.depth = measure{}, probeDepth
		a.due = a.slot(w.to, w.mean())
		return a.tick(Grew)
	}
	if a.notice(w) {
		a.high.add(w)
		return a.tick(Grew)
	}
	a.high.add(w)
	return a.decide(w)
}

// sink goes on from the probe, which was above the knee too.
func (a *adaptive) sink(w window) plan {
	a.limit, a.phase, a.high = a.bound(a.lowAt, w.to), cruising, a.low
	a.trend, a.depth = expected(a.limit), sinkDepth
	if a.limit < 2 {
		return a.settle(Queued, w)
	}
	return a.probe(w)
}

// below reports whether the knee is certainly near or below the probe.
func (a *adaptive) below() bool {
	ratio, err := a.low.ratio(a.high)
	return ratio < a.lowAt/a.limit*1.2 && expected(a.limit)-math.Log(ratio) > 3*err
}

// expected is the log of the cost ratio where the limit is above the knee by its headroom.
func expected(limit float64) float64 { return math.Log(1 - roomAbove(limit)/max(1, limit)) }

// roomAbove is the headroom for a knee. One permit more is little beside a hundred and a lot
// beside one.
func roomAbove(knee float64) float64 { return headroom * math.Sqrt(knee) * min(1, knee/4) }

func (a *adaptive) decide(w window) plan {
	ratio, err := a.low.ratio(a.high)
	a.floor.add(a.low.mean(), w.to)
	level := a.lowAt / a.limit
	a.trend += trendWeight * (math.Log(min(max(ratio, level), 1.1)) - a.trend)
	rtt := a.high.mean()
	if a.trend > expected(a.limit)/2 && rtt <= slack*a.floor.value() {
		a.step = climbFirst
		return a.raise(w)
	}
	knee := a.limit * min(max(ratio, level*0.9), 1.1)
	gain := prior * prior / (prior*prior + err*err)
	to := a.bound(a.limit+gain*(knee+a.room(knee)+math.Sqrt(gain)*err*knee/4-a.limit), w.to)
	why := Grew
	if to < a.limit {
		why = Queued
	}
	switch { // the knee may be below the probe: look further down next time
	case ratio > level*1.05:
		a.depth = probeDepth
	case a.depth == probeDepth:
		a.depth = doubtDepth
	default:
		a.depth = sinkDepth
	}
	a.limit, a.high = to, measure{}
	a.due = a.slot(w.to, rtt)
	a.again = !a.again && a.depth == probeDepth && math.Log(ratio) > expected(a.limit)/2
	if a.again || a.depth == sinkDepth {
		a.due = w.to
	}
	return a.settled(why, rtt)
}

// room is what the limit is above the knee, so that workers need not wait for the next
// call. It shrinks as calls take longer than they did at best: several processes that
// cannot tell their queue from the others' share a bounded one.
func (a *adaptive) room(knee float64) float64 {
	r := roomAbove(knee)
	if rtt, floor := a.high.mean(), a.floor.value(); floor > 0 && rtt > crowded*floor {
		r *= crowded * floor / rtt
	}
	return r
}

func (a *adaptive) bound(limit float64, now int64) float64 {
	return a.clamp(a.lid.under(limit, now))
}

// calm is how many drops among n calls may be chance.
func (a *adaptive) calm(n int) float64 {
	expected := float64(n) * (calmDrops + 1.5*a.quiet)
	return 1 + expected + 3*math.Sqrt(expected)
}

// brake answers drops.
func (a *adaptive) brake(w window) (plan, bool) {
	share := w.dropShare()
	wasted := w.dropped / (w.dropped + w.sum + 1e-12)
	doubted := a.doubt
	a.doubt = false
	switch {
	case w.total() >= 4 && share > 0.5 && wasted > 0.5:
		a.limit, a.phase = a.clamp(math.Floor(w.limit/2)), braking
		a.lid = lid{}
	case a.phase == braking && share <= 2*calmDrops:
		a.high, a.low = measure{}, measure{}
		a.high.add(w)
		a.phase, a.step = climbing, climbFast
		return a.tick(Grew), true
	case a.phase == braking:
	case float64(w.drops) > a.calm(w.total()) && wasted > 0.5 && !doubted:
		// Successes of before and drops of now would be taken for a downstream that drops
		// this share at this limit, and the lid kept for long: look again.
		a.doubt = true
		p := a.tick(Dropped)
		p.fresh = true
		return p, true
	case float64(w.drops) > a.calm(w.total()):
		a.limit = a.clamp(min(w.limit-1, w.limit*(1-wasted)))
		a.lid = lid{at: a.limit, until: w.to + lidFor}
		p := a.settle(Dropped, w)
		p.fresh = true
		return p, true
	default:
		return plan{}, false
	}
	p := a.tick(Dropped)
	p.fresh = true
	p.samples = int(min(enough, max(4, a.limit)))
	p.most = 0
	return p, true
}
