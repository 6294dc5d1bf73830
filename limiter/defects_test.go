package limiter_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

var learning = []limiter.Config{
	{Max: 60},
	{Max: 60, Algorithm: limiter.AIMD},
	{Max: 60, Algorithm: limiter.Vegas},
	{Max: 60, Algorithm: limiter.Gradient},
	{Max: 60, Algorithm: limiter.SLO, Target: 250 * time.Millisecond},
}

// A clock that a test moves, and a limiter that goes by it.
type bench struct {
	l   *limiter.Limiter
	now time.Time
}

func newBench(t *testing.T, c limiter.Config) *bench {
	return &bench{newLimiter(t, c), time.Now()}
}

// round runs n calls at once, at most as many as there are permits.
func (b *bench) round(n int, took time.Duration, o limiter.Outcome) {
	var out []limiter.Permit
	for range n {
		if p, ok := b.l.TryAcquireAt(b.now); ok {
			out = append(out, p)
		}
	}
	b.now = b.now.Add(took)
	for _, p := range out {
		p.ReleaseAt(b.now, o)
	}
}

// full runs as many calls as there are permits, for so many rounds.
func (b *bench) full(rounds int, took time.Duration, o limiter.Outcome) {
	for range rounds {
		b.round(b.l.Limit(), took, o)
	}
}

func TestNothingGrowsWhileTheLimitDoesNotBind(t *testing.T) {
	for _, c := range learning {
		t.Run(string(c.Algorithm), func(t *testing.T) {
			b := newBench(t, c)
			for range 5000 {
				b.round(3, 20*time.Millisecond, limiter.Success)
			}
			if got := b.l.Limit(); got > 10 {
				t.Errorf("three calls at a time made the limit %d, it was 10", got)
			}
		})
	}
}

// A failure in 50 µs is not a downstream that answers in 50 µs.
func TestNothingIsLearnedFromHowLongADropTook(t *testing.T) {
	for _, c := range learning {
		t.Run(string(c.Algorithm), func(t *testing.T) {
			with, without := newBench(t, c), newBench(t, c)
			for i := range 400 {
				if i%100 == 50 {
					with.round(1, 50*time.Microsecond, limiter.Drop)
				}
				with.full(1, 50*time.Millisecond, limiter.Success)
				without.full(1, 50*time.Millisecond, limiter.Success)
			}
			if s := with.l.Stat(); s.Baseline != 0 && s.Baseline < 40*time.Millisecond {
				t.Errorf("the baseline is %v, every success took 50 ms", s.Baseline)
			}
			if a, b := with.l.Limit(), without.l.Limit(); c.Algorithm == "" && 2*a < b {
				t.Errorf("four quick drops among thousands of calls made the limit %d instead of %d", a, b)
			}
		})
	}
}

func TestDropsLowerTheLimitToItsFloor(t *testing.T) {
	for _, c := range learning {
		t.Run(string(c.Algorithm), func(t *testing.T) {
			b := newBench(t, c)
			b.full(500, 50*time.Millisecond, limiter.Success)
			high := b.l.Limit()
			b.full(400, time.Second, limiter.Drop)
			if got := b.l.Limit(); got > max(2, high/20) {
				t.Errorf("400 s of timeouts left the limit at %d, it was %d", got, high)
			}
			b.full(2000, 50*time.Millisecond, limiter.Success)
			if got := b.l.Limit(); got < 8 {
				t.Errorf("after the fault the limit stays at %d", got)
			}
		})
	}
}

// A limit of 1 still grows, one of 10 still falls: fractions are kept.
func TestNoLimitIsTruncatedToAStandstill(t *testing.T) {
	for _, c := range learning {
		t.Run(string(c.Algorithm), func(t *testing.T) {
			c.Initial = 1
			b := newBench(t, c)
			b.full(4000, 50*time.Millisecond, limiter.Success)
			if got := b.l.Limit(); got < 10 {
				t.Errorf("nothing suffers, and from 1 it reached %d", got)
			}
		})
	}
}

func TestTheBrakeIsAbsolute(t *testing.T) {
	for _, c := range learning {
		t.Run(string(c.Algorithm), func(t *testing.T) {
			c.Brake = 100 * time.Millisecond
			b := newBench(t, c)
			b.full(500, 200*time.Millisecond, limiter.Success) // successes, but too slow all of them
			if got := b.l.Limit(); got > 2 {
				t.Errorf("all calls pass the brake, and the limit is %d", got)
			}
		})
	}
}

// The clock is set an hour forth or back, with calls under way: permits come back, the
// limit stays sane, and it still learns afterwards.
func TestAClockThatIsSetDoesNoHarm(t *testing.T) {
	for _, c := range learning {
		for _, step := range []time.Duration{time.Hour, -time.Hour} {
			t.Run(string(c.Algorithm)+" "+step.String(), func(t *testing.T) {
				b := newBench(t, c)
				b.full(200, 50*time.Millisecond, limiter.Success)
				before := b.l.Limit()
				b.full(1, step, limiter.Success)
				if s := b.l.Stat(); s.InFlight != 0 || s.RTT > time.Minute || 2*s.Limit < before {
					t.Errorf("the limit was %d; %+v", before, s)
				}
				b.full(2000, 50*time.Millisecond, limiter.Success)
				if got := b.l.Limit(); got < before {
					t.Errorf("the limit was %d and is %d", before, got)
				}
				b.full(200, time.Second, limiter.Drop)
				if got := b.l.Limit(); 2*got > before {
					t.Errorf("it does not learn any more: %d, it was %d", got, before)
				}
			})
		}
	}
}

// A clock that was set back does not put off the next probe until it has caught up.
func TestProbesGoOnAfterTheClockWasSetBack(t *testing.T) {
	probes := 0
	b := newBench(t, limiter.Config{Max: 20, OnChange: func(c limiter.Change) {
		if c.Why == limiter.Probe {
			probes++
		}
	}})
	b.full(400, 50*time.Millisecond, limiter.Success) // 20 s
	before := probes
	b.now = b.now.Add(-time.Hour)
	b.full(400, 50*time.Millisecond, limiter.Success)
	if before == 0 || probes == before {
		t.Errorf("%d probes before the step, %d after it", before, probes-before)
	}
}

// What began before a cut says nothing about what the cut did.
func TestABurstCutsOnce(t *testing.T) {
	for _, c := range []limiter.Config{
		{Algorithm: limiter.AIMD, Initial: 100},
		{Algorithm: limiter.SLO, Target: time.Second, Initial: 100},
	} {
		changes := 0
		c.OnChange = func(limiter.Change) { changes++ }
		b := newBench(t, c)
		b.full(1, 10*time.Second, limiter.Drop)
		if changes != 1 {
			t.Errorf("%s: 100 drops of one burst changed the limit %d times, to %d", c.Algorithm, changes, b.l.Limit())
		}
	}
}

// The wrappers go by the clock as the methods with a time do by theirs.
func TestTheWrappersUseTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Algorithm: limiter.Fixed, Max: 4})
		for range 200 {
			p := mustTry(t, l)
			time.Sleep(30 * time.Millisecond)
			p.Release(limiter.Success)
		}
		if s := l.Stat(); s.RTT < 29*time.Millisecond || s.RTT > 31*time.Millisecond {
			t.Errorf("calls of 30 ms are measured as %v", s.RTT)
		}
	})
}
