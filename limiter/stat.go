package limiter

import "time"

// Reason says why a limit changed.
type Reason string

// The reasons. Probe and Probed belong together: the limit is lowered for a moment to see
// what that does, and goes back.
const (
	Begun        Reason = "begun"        // the initial limit
	Grew         Reason = "grew"         // it was reached, and nothing suffered
	Queued       Reason = "queued"       // calls wait at the downstream, and more of them would only wait longer
	Dropped      Reason = "dropped"      // calls were dropped, or were slower than Config.Brake
	Violated     Reason = "violated"     // more than 1 call in 100 was slower than Config.Target
	Probe        Reason = "probe"        // to measure the downstream with less load
	Probed       Reason = "probed"       // back from a probe
	Reconfigured Reason = "reconfigured" // Reconfigure said so
)

// A Change of a limit.
type Change struct {
	Old, New int // Old is 0 for the first; New is math.MaxInt for None
	Why      Reason
	At       time.Time
}

// Stat is what a Limiter was like at one moment.
type Stat struct {
	Algorithm Algorithm
	Limit     int // math.MaxInt for None
	Min, Max  int
	InFlight  int // permits that are out; above Limit for a while after the limit fell
	Waiting   int // callers of Acquire

	Last Change // the last one; when, and why

	// RTT is the mean time of successes that the algorithm measured last, and Baseline the
	// one that it holds for the time without a queue. Zero: not known, or not used.
	RTT, Baseline time.Duration

	Acquired uint64 // permits given, in all
	Refused  uint64 // refusals by TryAcquire, and by Acquire as too many waited
	GaveUp   uint64 // callers of Acquire whose context ended
	Success  uint64 // permits released so
	Drop     uint64
	Ignore   uint64
}

// Stat returns the state of l.
func (l *Limiter) Stat() Stat {
	l.mu.Lock()
	defer l.mu.Unlock()
	rtt, baseline := l.learner.rtts()
	return Stat{
		Algorithm: l.cfg.Algorithm, Limit: l.limit, Min: l.cfg.Min, Max: l.cfg.Max,
		InFlight: l.inflight, Waiting: l.queue.n, Last: l.moved,
		RTT: rtt, Baseline: baseline,
		Acquired: l.counts.success + l.counts.drop + l.counts.ignore + uint64(l.inflight), Refused: l.counts.refused, GaveUp: l.counts.gaveUp,
		Success: l.counts.success, Drop: l.counts.drop, Ignore: l.counts.ignore,
	}
}

// Limit returns the limit; math.MaxInt for None.
func (l *Limiter) Limit() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.limit
}

type counts struct {
	success, drop, ignore uint64
	refused, gaveUp       uint64
}

func (c *counts) add(o Outcome) {
	switch o {
	case Success:
		c.success++
	case Drop:
		c.drop++
	default:
		c.ignore++
	}
}
