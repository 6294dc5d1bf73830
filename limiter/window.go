package limiter

import (
	"math"
	"time"
)

// A sample is one call that ended as a success or a drop.
type sample struct {
	start, end int64
	inflight   int  // when it started, itself included
	full       bool // the limit was reached while it ran
	drop       bool
}

// A window is what was seen at one limit.
type window struct {
	limit    float64
	from, to int64
	n        int     // successes
	drops    int     // drops, and successes slower than the brake
	late     int     // drops, and successes slower than plan.target
	full     int     // samples that ran while the limit was reached
	inflight int     // most when one of them started
	sum      float64 // of the times of successes, seconds
	squares  float64 // of the same
	dropped  float64 // of the times of drops, seconds
}

// A plan is what an algorithm wants next: a limit, and how long to watch it.
type plan struct {
	limit float64
	why   Reason // of a change of the limit

	// What ends until settle after the beginning is not counted: it has seen the limit
	// before. With fresh, only what has also started since counts.
	settle int64
	fresh  bool

	samples     int   // the window ends with as many
	least, most int64 // but not before least, and with the first sample after most whatever there is
	target      int64 // what is slower is late; 0: only drops are
	lates       int   // so many end the window at once; 0: never
}

// An algorithm is a pure function: from its state and a window to its state and a plan. It
// knows no clock and no lock.
type algorithm interface {
	next(w window) plan
	configure(c Config)          // bounds and targets; what was learned stays
	baseline() float64           // seconds; 0: none
	level(limit float64) float64 // where limit would be if no probe were under way
}

func (w *window) total() int { return w.n + w.drops }

// mean is the mean time of a success, in seconds; 0 if there is none.
func (w *window) mean() float64 {
	if w.n == 0 {
		return 0
	}
	return w.sum / float64(w.n)
}

// dropShare is the share of drops.
func (w *window) dropShare() float64 { return float64(w.drops) / float64(max(1, w.total())) }

// binds reports whether the limit kept calls out often enough to say something about it.
func (w *window) binds() bool { return float64(w.full) >= bindingShare*float64(w.total()) }

// bindingShare: a downstream that is asked for less than it can do meets its limit now and
// then, as calls come in bunches. What it has of them then says nothing about its limit.
const bindingShare = 0.5

func (w *window) add(s sample, brake, target int64) {
	took := max(1, s.end-s.start) // a clock may stand still
	t := seconds(took)
	if s.drop || brake > 0 && took > brake {
		w.drops++
		w.late++
		w.dropped += t
	} else {
		w.n++
		w.sum += t
		w.squares += t * t
		if target > 0 && took > target {
			w.late++
		}
	}
	if s.full {
		w.full++
	}
	w.inflight = max(w.inflight, s.inflight)
}

// A learner is an algorithm and the window that it watches.
type learner struct {
	window    window
	plan      plan
	algorithm algorithm
	began     int64 // of the plan
	valid     int64 // successes that started before are not believed: the clock was set since
	wall      int64 // the wall clock at time 0, ns
	rtt       float64
}

// begin starts with an algorithm that has seen nothing.
func (r *learner) begin(a algorithm, limit float64, wall, now int64) {
	*r = learner{algorithm: a, wall: wall, valid: math.MinInt64}
	r.watch(a.next(window{limit: limit, from: now + wall, to: now + wall}), now)
}

func (r *learner) watch(p plan, now int64) {
	r.plan, r.began = p, now
	r.window = window{limit: p.limit, from: now + p.settle}
}

// level is the limit as the algorithm has it, fractions included.
func (r *learner) level() float64 { return r.algorithm.level(r.plan.limit) }

// reconfigure keeps what was learned. If the limit has to move, it goes on from there.
func (r *learner) reconfigure(c Config, limit float64, now int64) {
	moved := limit != r.level() || c.Target != time.Duration(r.plan.target) && c.Target > 0
	r.algorithm.configure(c)
	if !moved {
		return
	}
	r.watch(r.algorithm.next(window{limit: limit, from: now + r.wall, to: now + r.wall}), now)
}

// restart forgets the window that is under way.
func (r *learner) restart(now int64) {
	r.valid = now
	r.watch(r.plan, now)
}

// learn takes in a sample, and returns true if there is a new plan.
func (r *learner) learn(s sample, brake time.Duration) bool {
	if !s.drop && (s.start < r.valid || s.end < s.start) {
		return false
	}
	if s.end < r.window.from || r.plan.fresh && s.start < r.began {
		return false
	}
	if s.start < r.valid {
		s.start = s.end // a drop: how long it took is not known
	}
	w, p := &r.window, &r.plan
	w.add(s, int64(brake), p.target)
	watched := s.end - w.from
	switch {
	case p.lates > 0 && w.late >= p.lates:
	case w.total() >= p.samples && watched >= p.least:
	case p.most > 0 && watched >= p.most:
	default:
		return false
	}
	if w.n > 0 {
		r.rtt = w.mean()
	}
	done := *w
	done.to = s.end + r.wall
	done.from += r.wall
	r.watch(r.algorithm.next(done), s.end)
	return true
}

func (r *learner) rtts() (rtt, baseline time.Duration) {
	return time.Duration(r.rtt * 1e9), time.Duration(r.algorithm.baseline() * 1e9)
}

// seconds is a time in nanoseconds as a number to calculate with.
func seconds(ns int64) float64 { return float64(ns) * 1e-9 }
