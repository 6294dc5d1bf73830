package overloadsim

import (
	"math"
	"math/rand/v2"
	"time"
)

// A Scenario is what happens to the limiters of all processes. The zero value of a field
// is the default that stands beside it.
type Scenario struct {
	Name     string
	Duration time.Duration // of virtual time; default 2 minutes
	Seed     uint64

	Load    func(t time.Duration) float64 // arrivals a second over all processes; default Always(2400)
	Workers func(t time.Duration) float64 // of the downstream; default Always(12)
	Service func(r *rand.Rand) float64    // seconds; default Erlang(4, 50 ms)
	Slow    func(t time.Duration) float64 // factor of service times; default Always(1)
	Dead    func(t time.Duration) bool    // nothing is answered; default never
	Thrash  float64                       // see the package

	Deadline    time.Duration // an answer within it is good; default 500 ms
	Timeout     time.Duration // callers give up after it; default never
	RefuseAbove int           // most that the downstream holds; default no bound
	RefuseAfter time.Duration // how long it takes to say so; default 1 ms

	Processes int                                  // that share the downstream; default 1
	Skew      func(process int) time.Duration      // what their clocks are ahead; default none
	Active    func(p int, t time.Duration) float64 // weight of a process in the draw of arrivals; default 1
}

// Always is a value that does not change.
func Always(v float64) func(time.Duration) float64 {
	return func(time.Duration) float64 { return v }
}

// Steps begins with the value first, and takes the value of each change at its time.
func Steps(first float64, changes ...Change) func(time.Duration) float64 {
	return func(t time.Duration) float64 {
		v := first
		for _, c := range changes {
			if t >= c.At {
				v = c.Value
			}
		}
		return v
	}
}

// Change is a value from a time on.
type Change struct {
	At    time.Duration
	Value float64
}

// Between is true from one time until before another.
func Between(from, to time.Duration) func(time.Duration) bool {
	return func(t time.Duration) bool { return from <= t && t < to }
}

// Erlang draws from the sum of k exponential times with that mean in all.
func Erlang(k int, mean time.Duration) func(*rand.Rand) float64 {
	stage := mean.Seconds() / float64(k)
	return func(r *rand.Rand) float64 {
		product := 1.0
		for range k {
			product *= 1 - r.Float64() // never 0
		}
		return -stage * math.Log(product)
	}
}

// Mixed draws from b with probability p, from a otherwise.
func Mixed(a, b func(*rand.Rand) float64, p float64) func(*rand.Rand) float64 {
	return func(r *rand.Rand) float64 {
		if r.Float64() < p {
			return b(r)
		}
		return a(r)
	}
}

func (s Scenario) withDefaults() Scenario {
	if s.Duration <= 0 {
		s.Duration = 2 * time.Minute
	}
	if s.Load == nil {
		s.Load = Always(2400)
	}
	if s.Workers == nil {
		s.Workers = Always(12)
	}
	if s.Service == nil {
		s.Service = Erlang(4, 50*time.Millisecond)
	}
	if s.Slow == nil {
		s.Slow = Always(1)
	}
	if s.Dead == nil {
		s.Dead = func(time.Duration) bool { return false }
	}
	if s.Deadline <= 0 {
		s.Deadline = 500 * time.Millisecond
	}
	if s.RefuseAfter <= 0 {
		s.RefuseAfter = time.Millisecond
	}
	s.Processes = max(1, s.Processes)
	if s.Skew == nil {
		s.Skew = func(int) time.Duration { return 0 }
	}
	if s.Active == nil {
		s.Active = func(int, time.Duration) float64 { return 1 }
	}
	return s
}
