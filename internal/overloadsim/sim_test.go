package overloadsim_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	sim "github.com/spillwaymq/spillway/internal/overloadsim"
)

// fixed is the simplest limiter.
type fixed struct{ limit, inflight int }

func (f *fixed) Limit() int { return f.limit }

func (f *fixed) TryAcquire(time.Time) (sim.Permit, bool) {
	if f.inflight >= f.limit {
		return nil, false
	}
	f.inflight++
	return f, true
}

func (f *fixed) Release(time.Time, sim.Outcome) { f.inflight-- }

func run(s sim.Scenario, limit int) *sim.Result {
	return sim.Run(s, func(int) sim.Admitter { return &fixed{limit: limit} })
}

func near(got, want, share float64) bool { return math.Abs(got-want) <= share*want }

// The figures of a fixed limit that others have published for the same setting.
func TestAFixedLimitDoesWhatIsKnownOfIt(t *testing.T) {
	for _, tt := range []struct {
		s       sim.Scenario
		limit   int
		goodput float64
		p99     float64 // ms
	}{
		{sim.Scenario{}, 12, 237, 127},
		{sim.Scenario{Thrash: 0.1}, 12, 237, 127},
		{sim.Scenario{Slow: sim.Always(2)}, 12, 119, 252},
		{sim.Scenario{}, 200, 0, 936},
		{sim.Scenario{Thrash: 0.1}, 200, 0, 2361},
		{sim.Scenario{Slow: sim.Always(2)}, 200, 0, 1864},
	} {
		r := run(tt.s, tt.limit)
		g := r.Goodput(time.Minute, 2*time.Minute)
		p := float64(r.Quantile(0.99, time.Minute, 2*time.Minute).Milliseconds())
		if !near(g, tt.goodput, 0.02) || !near(p, tt.p99, 0.04) {
			t.Errorf("limit %d in %+v: %.1f/s and %v ms, want about %v and %v", tt.limit, tt.s, g, p, tt.goodput, tt.p99)
		}
	}
}

func TestARunIsAFunctionOfItsSeed(t *testing.T) {
	s := sim.Scenario{Duration: 20 * time.Second, Seed: 7}
	a, b := run(s, 13), run(s, 13)
	s.Seed = 8
	c := run(s, 13)
	span := 20 * time.Second
	if a.Goodput(0, span) != b.Goodput(0, span) || a.Quantile(0.5, 0, span) != b.Quantile(0.5, 0, span) {
		t.Error("two runs of one seed differ")
	}
	if a.Goodput(0, span) == c.Goodput(0, span) && a.Quantile(0.99, 0, span) == c.Quantile(0.99, 0, span) {
		t.Error("another seed is the same run")
	}
}

// Little's law, and what the faults do.
func TestFaultsDoWhatTheySay(t *testing.T) {
	const half, all = 10 * time.Second, 20 * time.Second
	dead := run(sim.Scenario{Duration: all, Dead: sim.Between(half, all), Timeout: time.Second}, 12)
	if g := dead.Goodput(half+time.Second, all); g != 0 {
		t.Errorf("a dead downstream answers %v/s in time", g)
	}
	if d := dead.Dropped(half+2*time.Second, all); !near(d, 12, 0.1) {
		t.Errorf("%v calls a second time out, want 12: each permit once a second", d)
	}
	refusing := run(sim.Scenario{Duration: all, RefuseAbove: 12}, 24)
	if g := refusing.Goodput(0, all); !near(g, 240, 0.02) || refusing.Dropped(0, all) < 1000 {
		t.Errorf("a downstream that refuses what it cannot run answers %v/s and refuses %v/s", g, refusing.Dropped(0, all))
	}
	grown := run(sim.Scenario{Duration: all, Workers: sim.Steps(12, sim.Change{At: half, Value: 24})}, 24)
	if a, b := grown.Goodput(0, half), grown.Goodput(half+time.Second, all); !near(2*a, b, 0.03) {
		t.Errorf("12 workers do %v/s, 24 do %v/s", a, b)
	}
	quiet := run(sim.Scenario{Duration: 10 * time.Minute, Load: sim.Always(0.2)}, 12)
	if g := quiet.Goodput(0, 10*time.Minute); !near(g, 0.2, 0.3) {
		t.Errorf("a load of 0.2/s brings %v/s", g)
	}
}

func TestServiceTimesHaveTheirMean(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for name, tt := range map[string]struct {
		draw func(*rand.Rand) float64
		mean float64
	}{
		"erlang": {sim.Erlang(4, 50*time.Millisecond), 0.05},
		"mixed":  {sim.Mixed(sim.Erlang(4, 20*time.Millisecond), sim.Erlang(4, 320*time.Millisecond), 0.1), 0.05},
	} {
		sum := 0.0
		for range 100_000 {
			sum += tt.draw(r)
		}
		if !near(sum/100_000, tt.mean, 0.02) {
			t.Errorf("%s: mean %v, want %v", name, sum/100_000, tt.mean)
		}
	}
}

// Quantiles against a sorted list; the limiter takes everything and one worker each serves.
func TestQuantilesAreThoseOfTheLatencies(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var times []float64
		service := rapid.Float64Range(0.001, 0.4).Draw(t, "service")
		s := sim.Scenario{
			Duration: 5 * time.Second, Load: sim.Always(50), Workers: sim.Always(1000),
			Service: func(r *rand.Rand) float64 {
				v := service * (0.5 + r.Float64())
				times = append(times, v)
				return v
			},
		}
		r := run(s, 1000)
		slices.Sort(times)
		want := times[len(times)/2]
		if got := r.Quantile(0.5, 0, 5*time.Second).Seconds(); !near(got, want, 0.15) {
			t.Fatalf("median %v, want about %v", got, want)
		}
	})
}
