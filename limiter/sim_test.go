package limiter_test

import (
	"testing"
	"time"

	"github.com/spillwaymq/spillway/internal/overloadsim"
	"github.com/spillwaymq/spillway/limiter"
)

// simulated puts a Limiter behind the simulation.
type simulated struct{ l *limiter.Limiter }

type simulatedPermit struct{ p limiter.Permit }

func (s simulated) TryAcquire(now time.Time) (overloadsim.Permit, bool) {
	p, ok := s.l.TryAcquireAt(now)
	if !ok {
		return nil, false
	}
	return simulatedPermit{p}, true
}

func (s simulated) Limit() int { return s.l.Limit() }

func (p simulatedPermit) Release(now time.Time, o overloadsim.Outcome) {
	if o == overloadsim.Dropped {
		p.p.ReleaseAt(now, limiter.Drop)
		return
	}
	p.p.ReleaseAt(now, limiter.Success)
}

func simulate(t testing.TB, s overloadsim.Scenario, c limiter.Config) *overloadsim.Result {
	t.Helper()
	if raceDetector {
		t.Skip("a simulation has one goroutine: there is nothing to race")
	}
	return overloadsim.Run(s, func(int) overloadsim.Admitter {
		l, err := limiter.New(c)
		if err != nil {
			t.Fatal(err)
		}
		return simulated{l}
	})
}
