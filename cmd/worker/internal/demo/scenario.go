package demo

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

// Scenario is what is going on.
type Scenario int32

// The scenarios, in their order.
const (
	Normal Scenario = iota
	Spike
	SlowDownstream
	scenarios
)

func (s Scenario) String() string {
	return [...]string{"normal", "spike", "slow downstream"}[s]
}

// Describe says what s is.
func (s Scenario) Describe() string {
	return [...]string{
		fmt.Sprintf("every tenant publishes %d messages/s", baseRate),
		fmt.Sprintf("%s publishes %d times as much", Flooder, spikeFactor),
		fmt.Sprintf("answers take %d times as long", slowFactor),
	}[s]
}

// Announce says which scenarios are shown, one after another, for how long each.
func Announce(w io.Writer, duration time.Duration) {
	again := ""
	if length := sceneLength(duration); duration == 0 || duration >= time.Duration(scenarios+1)*length {
		again = ", again and again"
	}
	fmt.Fprintf(w, "%d scenes, one after another, of %v each%s:\n", scenarios, sceneLength(duration).Round(100*time.Millisecond), again)
	for s := range scenarios {
		fmt.Fprintf(w, "  %d %-15s  %s\n", s+1, s, s.Describe())
	}
}

// Flooder is the tenant that floods.
const Flooder = "acme"

// Tenants are those who publish.
func Tenants() []string { return []string{Flooder, "globex", "initech", "umbrella"} }

const (
	baseRate    = 50 // messages a second and tenant
	spikeFactor = 10
	baseLatency = 20 * time.Millisecond
	slowFactor  = 10
	maxScene    = 20 * time.Second
)

// sceneOf returns what is going on this long after the start of a demo that lasts as
// long as duration, 0 if it has no end.
func sceneOf(elapsed, duration time.Duration) Scenario {
	return Scenario(elapsed/sceneLength(duration)) % scenarios
}

// sceneLength returns how long each scenario of such a demo takes.
func sceneLength(duration time.Duration) time.Duration {
	if duration == 0 {
		return maxScene
	}
	return max(min(maxScene, duration/time.Duration(scenarios)), time.Millisecond)
}

// rate returns how many messages a second a tenant publishes.
func (s Scenario) rate(tenant string) int {
	if s == Spike && tenant == Flooder {
		return baseRate * spikeFactor
	}
	return baseRate
}

// latency returns how long the downstream takes to answer.
func (s Scenario) latency() time.Duration {
	if s == SlowDownstream {
		return baseLatency * slowFactor
	}
	return baseLatency
}

// Scene is the scenario of the moment, for those who act it out.
type Scene struct {
	start    time.Time
	duration time.Duration
	fixed    atomic.Int32 // a scenario and 1, or 0
}

// NewScene begins with the first scenario.
func NewScene(start time.Time, duration time.Duration) *Scene {
	return &Scene{start: start, duration: duration}
}

// Now returns the scenario of the moment.
func (s *Scene) Now() Scenario {
	if fixed := s.fixed.Load(); fixed > 0 {
		return Scenario(fixed - 1)
	}
	return sceneOf(time.Since(s.start), s.duration)
}

// End goes back to normal for good, so that what is left can be finished.
func (s *Scene) End() { s.fixed.Store(int32(Normal) + 1) }
