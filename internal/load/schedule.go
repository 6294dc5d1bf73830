package load

import (
	"errors"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"time"
)

// A Stage is a part of a schedule: a rate that is constant, or changes linearly.
type Stage struct {
	From, To float64       // requests per second at its begin and its end
	For      time.Duration // how long it lasts
}

// Arrivals says how requests are spread at a given rate.
type Arrivals int

// The arrivals.
const (
	Constant Arrivals = iota // at equal distances
	Poisson                  // independent of each other, as those of many users are
)

// Bounds of a schedule.
const (
	maxStages   = 64
	maxRate     = 1e7             // per second
	maxLength   = 7 * 24 * 3600e9 // ns
	maxArrivals = 1e11
)

// A Schedule says when each request is due and whose it is. It depends on what it was made
// of and on nothing else: the same seed gives the same schedule. It is immutable.
type Schedule struct {
	stages   []Stage
	sums     []float64       // R at the begin of each stage, and at the end
	begins   []time.Duration // of each stage, and the end
	arrivals Arrivals
	seed     uint64
	mix      mix
}

// An Arrival is one request of a schedule.
type Arrival struct {
	Index  int64         // from 0
	At     time.Duration // from the begin of the run
	Stage  int           // from 0
	Tenant int           // of Tenants.Names; 0 without any
}

// NewSchedule returns the schedule, or all that is wrong.
func NewSchedule(stages []Stage, arrivals Arrivals, seed uint64, tenants Tenants) (*Schedule, error) {
	mix, err := newMix(tenants)
	if len(stages) == 0 || len(stages) > maxStages {
		err = errors.Join(err, fmt.Errorf("Config.Stages are %d: must be 1 to %d", len(stages), maxStages))
	}
	if arrivals != Constant && arrivals != Poisson {
		err = errors.Join(err, fmt.Errorf("Config.Arrivals is %d: must be Constant or Poisson", arrivals))
	}
	s := &Schedule{arrivals: arrivals, seed: seed, mix: mix, sums: []float64{0}, begins: []time.Duration{0}}
	for i, stage := range stages {
		if problem := stage.check(); problem != nil {
			err = errors.Join(err, fmt.Errorf("Config.Stages[%d]: %w", i, problem))
			continue
		}
		s.stages = append(s.stages, stage)
		s.sums = append(s.sums, s.Expected()+(stage.From+stage.To)/2*stage.For.Seconds())
		s.begins = append(s.begins, s.Duration()+stage.For)
	}
	if d := s.Duration(); d > maxLength {
		err = errors.Join(err, fmt.Errorf("Config.Stages last %v: must be at most %v", d, time.Duration(maxLength)))
	}
	if n := s.Expected(); err == nil && !(n > 0 && n <= maxArrivals) {
		err = fmt.Errorf("Config.Stages hold %g requests: must be more than 0 and at most %g", n, float64(maxArrivals))
	}
	if err != nil {
		return nil, err
	}
	return s, nil
}

func (s Stage) check() error {
	var err error
	for _, r := range []struct {
		name string
		rate float64
	}{{"Stage.From", s.From}, {"Stage.To", s.To}} {
		if !(r.rate >= 0 && r.rate <= maxRate) {
			err = errors.Join(err, fmt.Errorf("%s is %v per second: must be from 0 to %g", r.name, r.rate, float64(maxRate)))
		}
	}
	if s.For <= 0 || s.For > maxLength {
		err = errors.Join(err, fmt.Errorf("Stage.For is %v: must be above 0 and at most %v", s.For, time.Duration(maxLength)))
	}
	return err
}

// Duration is how long the schedule lasts.
func (s *Schedule) Duration() time.Duration { return s.begins[len(s.begins)-1] }

// Expected is how many requests it holds: with constant arrivals exactly, rounded up;
// with Poisson arrivals in the mean.
func (s *Schedule) Expected() float64 { return s.sums[len(s.sums)-1] }

// Rate returns the requests per second that are due around d after the begin.
func (s *Schedule) Rate(d time.Duration) float64 {
	for i, stage := range s.stages {
		if in := d - s.begins[i]; in < stage.For {
			return stage.From + (stage.To-stage.From)*max(0, in.Seconds()/stage.For.Seconds())
		}
	}
	return 0
}

// All yields the requests in the order in which they are due. It may be called any number
// of times.
func (s *Schedule) All() iter.Seq[Arrival] {
	return func(yield func(Arrival) bool) {
		c := s.begin()
		for a, ok := c.next(); ok && yield(a); a, ok = c.next() {
		}
	}
}

// A cursor walks over a schedule. When requests are due and whose they are is drawn from
// two sources, so that other tenants do not change the times.
type cursor struct {
	s          *Schedule
	gaps, pick *rand.PCG
	index      int64
	x          float64 // R at the last arrival
	stage      int
	last       time.Duration
}

func (s *Schedule) begin() *cursor {
	const gaps, pick = 0x9e3779b97f4a7c15, 0xd1b54a32d192ed03 // any two that differ
	return &cursor{s: s, gaps: rand.NewPCG(s.seed, gaps), pick: rand.NewPCG(s.seed, pick)}
}

// next returns false at the end of the schedule.
func (c *cursor) next() (Arrival, bool) {
	x := float64(c.index)
	if c.s.arrivals == Poisson {
		x = c.x - math.Log1p(-uniform(c.gaps))
	}
	for c.stage < len(c.s.stages) && x >= c.s.sums[c.stage+1] {
		c.stage++
	}
	if c.stage == len(c.s.stages) {
		return Arrival{}, false
	}
	at := c.s.begins[c.stage] + c.s.stages[c.stage].when(x-c.s.sums[c.stage])
	a := Arrival{Index: c.index, At: max(at, c.last), Stage: c.stage}
	if c.s.mix.n() > 1 {
		a.Tenant = c.s.mix.tenant(uniform(c.pick))
	}
	c.x, c.last = x, a.At
	c.index++
	return a, true
}

// when returns when y requests of the stage have been due: the t with R(t) = y.
func (s Stage) when(y float64) time.Duration {
	t := y / s.From
	if s.From != s.To {
		growth := (s.To - s.From) / s.For.Seconds()
		// The root of growth/2 t² + From t - y = 0, written so that nothing cancels.
		t = 2 * y / (s.From + math.Sqrt(max(0, s.From*s.From+2*growth*y)))
	}
	if y == 0 {
		return 0 // also at a rate of 0
	}
	return min(time.Duration(math.Round(t*float64(time.Second))), s.For)
}

// uniform returns a number from 0 to below 1. It is spelled out, so that a seed means the
// same in every version of Go.
func uniform(source *rand.PCG) float64 { return float64(source.Uint64()>>11) / (1 << 53) }
