package overloadsim

import (
	"math"
	"time"
)

// A Result is what happened, second by second.
type Result struct {
	Scenario string
	deadline time.Duration
	seconds  []tally
}

// Latencies are counted in buckets that grow by 2 %, from 100 µs on.
const (
	buckets   = 700
	leastTime = 100 * time.Microsecond
	growth    = 1.02
)

type tally struct {
	good, late, dropped, refused int
	limit                        int
	latency                      []uint32 // of answers, by bucket
}

func newResult(s Scenario) *Result {
	return &Result{Scenario: s.Name, deadline: s.Deadline, seconds: make([]tally, int(s.Duration/time.Second)+1)}
}

func (r *Result) at(now int64) *tally { return &r.seconds[now/1e9] }

func (r *Result) limit(now int64, n int) { r.at(now).limit = n }

func (r *Result) refused(now int64) { r.at(now).refused++ }

func (r *Result) done(now int64, took time.Duration, o Outcome) {
	t := r.at(now)
	switch {
	case o == Dropped:
		t.dropped++
		return
	case took <= r.deadline:
		t.good++
	default:
		t.late++
	}
	if t.latency == nil {
		t.latency = make([]uint32, buckets)
	}
	t.latency[bucket(took)]++
}

func bucket(d time.Duration) int {
	if d <= leastTime {
		return 0
	}
	return min(buckets-1, int(math.Ceil(math.Log(float64(d)/float64(leastTime))/math.Log(growth))))
}

// Seconds is how many whole seconds were simulated.
func (r *Result) Seconds() int { return len(r.seconds) - 1 }

// within returns the tallies of the whole seconds from and to.
func (r *Result) within(from, to time.Duration) []tally {
	n := len(r.seconds) - 1
	return r.seconds[min(n, int(from/time.Second)):min(n, int(to/time.Second))]
}

// Goodput is how many answers a second came within the deadline.
func (r *Result) Goodput(from, to time.Duration) float64 {
	return r.mean(from, to, func(t tally) int { return t.good })
}

// Dropped is how many calls a second were given up or refused by the downstream.
func (r *Result) Dropped(from, to time.Duration) float64 {
	return r.mean(from, to, func(t tally) int { return t.dropped })
}

// Limit is the mean of the limit at the beginning of each second, summed over processes.
func (r *Result) Limit(from, to time.Duration) float64 {
	return r.mean(from, to, func(t tally) int { return t.limit })
}

func (r *Result) mean(from, to time.Duration, f func(tally) int) float64 {
	all, sum := r.within(from, to), 0
	for _, t := range all {
		sum += f(t)
	}
	return float64(sum) / float64(max(1, len(all)))
}

// Quantile is the latency that at least the share q of all answers did not exceed, to 2 %
// above; zero if there were none.
func (r *Result) Quantile(q float64, from, to time.Duration) time.Duration {
	var count [buckets]uint64
	total := uint64(0)
	for _, t := range r.within(from, to) {
		for i, n := range t.latency {
			count[i] += uint64(n)
			total += uint64(n)
		}
	}
	rank, seen := uint64(math.Ceil(q*float64(total))), uint64(0)
	for i, n := range count {
		if seen += n; seen >= rank && total > 0 {
			return time.Duration(float64(leastTime) * math.Pow(growth, float64(i)))
		}
	}
	return 0
}

// Reached is when, from a time on, goodput was first at least the given value over a span
// of a whole second and over those that follow it up to hold; false if never.
func (r *Result) Reached(goodput float64, from, hold time.Duration) (time.Duration, bool) {
	for t := from; t+hold <= time.Duration(r.Seconds())*time.Second; t += time.Second {
		if r.Goodput(t, t+hold) >= goodput {
			return t - from, true
		}
	}
	return 0, false
}
