package breaker

import "time"

// Snapshot is the state of a Breaker at one moment.
type Snapshot struct {
	State State
	Since time.Time // when it entered the state, or was Reset in it; zero if neither has been

	// Until is when the breaker will next admit a call, if it does not now: when it will have
	// been open long enough, or when a probe will give up its place. Zero if it would now.
	Until time.Time

	// Of the window, while closed.
	Calls, Failures, Slow   int
	FailureRatio, SlowRatio float64 // 0 without calls

	FreeProbes int    // how many more would be admitted half-open; all of them, if open and due
	Openings   int    // in a row, without closing between
	Refused    uint64 // calls since New
}

// Snapshot returns the state of b now.
func (b *Breaker) Snapshot() Snapshot { return b.snapshot(b.now()) }

// SnapshotAt is Snapshot at now.
func (b *Breaker) SnapshotAt(now time.Time) Snapshot { return b.snapshot(b.nanos(now)) }

func (b *Breaker) snapshot(now int64) Snapshot {
	b.mu.Lock()
	defer b.mu.Unlock()
	clock, ph := b.clock, b.phase.Load() // a copy: looking ahead changes nothing
	t, back := clock.tick(now)
	t += back // what was kept is not set back
	s := Snapshot{State: ph.state, Openings: b.openings, Refused: b.refused.Load()}
	if ph.generation > 1 {
		s.Since = b.time(earlier(ph.since, back))
	}
	switch ph.state {
	case Closed:
		if y := b.tally.Load(); y != nil {
			b.window.succeed(y.n.Swap(0))
		}
		s.count(b.window.sum(t))
	case Open:
		if t < ph.until {
			s.Until = b.time(earlier(ph.until, back))
		} else {
			s.FreeProbes = ph.set.Probes
		}
	case HalfOpen:
		if s.FreeProbes = b.probes.free(t, ph.set.Probes); s.FreeProbes == 0 {
			s.Until = b.time(earlier(b.probes.deadline(t), back))
		}
	}
	return s
}

func (s *Snapshot) count(c counts) {
	s.Calls, s.Failures, s.Slow = c.calls, c.failures, c.slow
	if c.calls > 0 {
		s.FailureRatio = float64(c.failures) / float64(c.calls)
		s.SlowRatio = float64(c.slow) / float64(c.calls)
	}
}
