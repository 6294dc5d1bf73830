package load_test

import (
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/internal/load"
)

func schedule(t *testing.T, arrivals load.Arrivals, seed uint64, stages ...string) *load.Schedule {
	t.Helper()
	s, err := load.NewSchedule(parsed(t, stages...), arrivals, seed, load.Tenants{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func parsed(t testing.TB, stages ...string) (all []load.Stage) {
	t.Helper()
	for _, text := range stages {
		stage, err := load.ParseStage(text)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, stage)
	}
	return all
}

func TestAConstantRateIsExact(t *testing.T) {
	s := schedule(t, load.Constant, 1, "1000/s:10s")
	n := int64(0)
	for a := range s.All() {
		if want := time.Duration(n) * time.Millisecond; a.At != want || a.Index != n {
			t.Fatalf("request %d is number %d, due at %v, want %v", n, a.Index, a.At, want)
		}
		n++
	}
	if n != 10_000 || s.Expected() != 10_000 || s.Duration() != 10*time.Second {
		t.Errorf("%d requests, expected %v in %v", n, s.Expected(), s.Duration())
	}
}

func TestAConstantRateDoesNotDriftInADay(t *testing.T) {
	s := schedule(t, load.Constant, 1, "3/s:24h")
	n, last := int64(0), load.Arrival{}
	for a := range s.All() {
		last = a
		n++
	}
	want := time.Duration(math.Round(float64(3*86400-1) / 3 * 1e9))
	if n != 3*86400 || (last.At-want).Abs() > time.Microsecond {
		t.Errorf("%d requests, the last at %v, want %v", n, last.At, want)
	}
}

// In a ramp from 0 to 1000/s over 10 s, 50 t² are due until t.
func TestARampHasTheIntegralOfItsRate(t *testing.T) {
	s := schedule(t, load.Constant, 1, "0/s..1000/s:10s")
	n := 0
	for a := range s.All() {
		want := math.Sqrt(float64(n) / 50)
		if math.Abs(a.At.Seconds()-want) > 1e-8 {
			t.Fatalf("request %d is due at %v s, want %v", n, a.At.Seconds(), want)
		}
		n++
	}
	if n != 5000 {
		t.Errorf("%d requests, want 5000", n)
	}
	if r := s.Rate(5 * time.Second); r != 500 {
		t.Errorf("the rate in the middle is %v, want 500", r)
	}
}

func TestStagesFollowEachOther(t *testing.T) {
	s := schedule(t, load.Constant, 1, "100/s:1s", "0/s:2s", "1000/s:1s", "1000/s..0/s:1s")
	counts := make([]int, 4)
	for a := range s.All() {
		counts[a.Stage]++
		if begin := []float64{0, 1, 3, 4}[a.Stage]; a.At.Seconds() < begin || a.At.Seconds() > begin+1 {
			t.Fatalf("request %d of stage %d is due at %v", a.Index, a.Stage, a.At)
		}
	}
	if want := []int{100, 0, 1000, 500}; !slices.Equal(counts, want) {
		t.Errorf("requests by stage are %v, want %v", counts, want)
	}
}

// Gaps of a Poisson process have the mean 1/r and as much deviation, and do not know each
// other. The bounds are five standard errors.
func TestPoissonArrivalsAreIndependent(t *testing.T) {
	s := schedule(t, load.Poisson, 7, "1000/s:200s")
	var gaps []float64
	last := time.Duration(0)
	for a := range s.All() {
		gaps = append(gaps, (a.At-last).Seconds()*1000)
		last = a.At
	}
	n := float64(len(gaps))
	var sum, squares, products float64
	for i, g := range gaps {
		sum += g
		squares += (g - 1) * (g - 1)
		products += (g - 1) * (gaps[(i+1)%len(gaps)] - 1)
	}
	if math.Abs(sum/n-1) > 5/math.Sqrt(n) {
		t.Errorf("the mean gap is %v ms, want 1", sum/n)
	}
	if v := squares / n; math.Abs(v-1) > 5*math.Sqrt(8/n) {
		t.Errorf("the variance of the gaps is %v, want 1", v)
	}
	if r := products / n; math.Abs(r) > 5/math.Sqrt(n) {
		t.Errorf("gaps that follow each other correlate by %v", r)
	}
}

func TestASeedGivesTheSameScheduleEachTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		arrivals := rapid.SampledFrom([]load.Arrivals{load.Constant, load.Poisson}).Draw(t, "arrivals")
		stages := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) load.Stage {
			return load.Stage{
				From: rapid.Float64Range(0, 500).Draw(t, "from"), To: rapid.Float64Range(1, 500).Draw(t, "to"),
				For: time.Duration(rapid.Int64Range(1, int64(2*time.Second)).Draw(t, "for")),
			}
		}), 1, 4).Draw(t, "stages")
		tenants := load.ZipfTenants("t", rapid.IntRange(0, 5).Draw(t, "tenants"), 1)
		make := func(tenants load.Tenants) ([]load.Arrival, *load.Schedule) {
			s, err := load.NewSchedule(stages, arrivals, seed, tenants)
			if err != nil {
				t.Fatal(err)
			}
			return slices.Collect(s.All()), s
		}
		first, s := make(tenants)
		again, _ := make(tenants)
		if !slices.Equal(first, again) {
			t.Fatal("two schedules of one seed differ")
		}
		times, _ := make(load.Tenants{})
		if len(times) != len(first) {
			t.Fatal("tenants change when requests are due")
		}
		last := time.Duration(0)
		for i, a := range first {
			if a.At < last || a.At > s.Duration() || a.Index != int64(i) || a.At != times[i].At {
				t.Fatalf("request %d is %+v, after %v", i, a, last)
			}
			last = a.At
		}
		if n := math.Ceil(s.Expected()); arrivals == load.Constant && math.Abs(n-float64(len(first))) > 1 {
			t.Fatalf("%d requests, want %v", len(first), n)
		}
	})
}

func TestOtherSeedsGiveOtherSchedules(t *testing.T) {
	a := slices.Collect(schedule(t, load.Poisson, 1, "100/s:1s").All())
	b := slices.Collect(schedule(t, load.Poisson, 2, "100/s:1s").All())
	if slices.Equal(a, b) {
		t.Error("the seed does not matter")
	}
	whose := func(seed uint64) (all []int) {
		s, err := load.NewSchedule(parsed(t, "100/s:1s"), load.Constant, seed, load.ZipfTenants("t", 4, 0))
		if err != nil {
			t.Fatal(err)
		}
		for a := range s.All() {
			all = append(all, a.Tenant)
		}
		return all
	}
	if slices.Equal(whose(1), whose(2)) {
		t.Error("the seed does not matter for tenants")
	}
}

func TestTenantsHaveTheirShares(t *testing.T) {
	s, err := load.NewSchedule(parsed(t, "1000/s:100s"), load.Constant, 3,
		load.Tenants{Names: []string{"a", "b", "c"}, Weights: []float64{6, 3, 1}})
	if err != nil {
		t.Fatal(err)
	}
	counts := make([]float64, 3)
	for a := range s.All() {
		counts[a.Tenant]++
	}
	for i, want := range []float64{60_000, 30_000, 10_000} {
		if math.Abs(counts[i]-want) > 5*math.Sqrt(want) {
			t.Errorf("tenant %d has %v requests, want about %v", i, counts[i], want)
		}
	}
	zipf := load.ZipfTenants("t", 3, 1)
	if zipf.Names[2] != "t3" || zipf.Weights[0] != 1 || math.Abs(zipf.Weights[2]-1.0/3) > 1e-9 {
		t.Errorf("zipf is %+v", zipf)
	}
}

func TestWhatIsWrongIsSaidAllAtOnce(t *testing.T) {
	_, err := load.New(load.Config{
		Stages:      []load.Stage{{From: -1, To: 1, For: time.Second}, {From: 1, To: math.NaN(), For: -1}},
		Arrivals:    9,
		Tenants:     load.Tenants{Names: []string{"a", "a"}, Weights: []float64{0, 1}},
		MaxInFlight: -1, Timeout: -1, MaxDelay: 2 * time.Hour, Every: 1,
	})
	if err == nil {
		t.Fatal("all of it was taken")
	}
	for _, want := range []string{
		"Stages[0]: Stage.From is -1", "Stages[1]: Stage.To is NaN", "For is -1ns", "Arrivals is 9", "Names[1] is \"a\"", "Weights[0] is 0",
		"Config.MaxInFlight is -1", "Config.Timeout is -1ns", "Config.MaxDelay is 2h0m0s", "Config.Every is 1ns", "must be",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("it does not say %q:\n%v", want, err)
		}
	}
	for _, stages := range [][]load.Stage{nil, make([]load.Stage, 65), {{For: time.Second}}} {
		if _, err := load.New(load.Config{Stages: stages}); err == nil {
			t.Errorf("%v were taken for stages", stages)
		}
	}
}

func TestStagesAreReadAsTheyAreWritten(t *testing.T) {
	for text, want := range map[string]load.Stage{
		"100/s:30s":          {From: 100, To: 100, For: 30 * time.Second},
		"6/m:1h":             {From: 0.1, To: 0.1, For: time.Hour},
		"0/s..1.5/s:1m":      {From: 0, To: 1.5, For: time.Minute},
		"100/s..3600/h:10ms": {From: 100, To: 1, For: 10 * time.Millisecond},
	} {
		got, err := load.ParseStage(text)
		if err != nil || got != want {
			t.Errorf("%s is %+v (%v), want %+v", text, got, err, want)
		}
		if again, err := load.ParseStage(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %s, which is %+v (%v)", text, got, again, err)
		}
	}
	for _, text := range []string{"", "100/s", "100:1s", "100/d:1s", "x/s:1s", "1/s:10", "1/s:-1s", "-1/s:1s", "1e9/s:1s", "NaN/s:1s", "1/s..:1s"} {
		if got, err := load.ParseStage(text); err == nil {
			t.Errorf("%q was taken for %+v", text, got)
		}
	}
}
