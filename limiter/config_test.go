package limiter_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

func TestAConfigMistakeNamesFieldValueAndBound(t *testing.T) {
	for _, tt := range []struct {
		c    limiter.Config
		want []string
	}{
		{limiter.Config{Algorithm: "vega"}, []string{"Config.Algorithm", `"vega"`, "adaptive, fixed, aimd, vegas, gradient, slo, none"}},
		{limiter.Config{Min: -1}, []string{"Config.Min is -1: must be from 0 to 1000000"}},
		{limiter.Config{Max: 1_000_001}, []string{"Config.Max is 1000001: must be from 0 to 1000000"}},
		{limiter.Config{Min: 20, Max: 10}, []string{"Config.Min is 20: must be at most Max, which is 10"}},
		{limiter.Config{Initial: -3}, []string{"Config.Initial is -3"}},
		{limiter.Config{Min: 5, Initial: 4}, []string{"Config.Initial is 4: must be at least Min, which is 5"}},
		{limiter.Config{Max: 5, Initial: 6}, []string{"Config.Initial is 6: must be at most Max, which is 5"}},
		{limiter.Config{Algorithm: limiter.AIMD, Initial: 101}, []string{"Config.Initial is 101: must be at most Max, which is 100"}},
		{limiter.Config{Waiters: -1}, []string{"Config.Waiters is -1"}},
		{limiter.Config{Brake: -time.Second}, []string{"Config.Brake is -1s: must be at least 0"}},
		{limiter.Config{Algorithm: limiter.SLO}, []string{"Config.Target is 0s: must be above 0 for slo"}},
		{limiter.Config{Algorithm: limiter.SLO, Target: -1}, []string{"Config.Target is -1ns: must be above 0"}},
		{limiter.Config{Target: time.Second}, []string{"Config.Target is 1s: must be 0 for adaptive"}},
		{limiter.Config{Algorithm: limiter.Fixed}, []string{"Config.Max is 0: must be at least 1 for fixed"}},
		{limiter.Config{Algorithm: limiter.Fixed, Max: 9, Initial: 3}, []string{"Config.Initial is 3: must be 0 for fixed"}},
		{limiter.Config{Algorithm: limiter.AIMD, Successes: -1}, []string{"Config.Successes is -1: must be at least 1"}},
		{limiter.Config{Successes: 20}, []string{"Config.Successes is 20: must be 0 for adaptive"}},
		{limiter.Config{Algorithm: limiter.AIMD, Backoff: 1}, []string{"Config.Backoff is 1: must be above 0 and below 1"}},
		{limiter.Config{Algorithm: limiter.AIMD, Backoff: -0.5}, []string{"Config.Backoff is -0.5"}},
		{limiter.Config{Algorithm: limiter.AIMD, Backoff: math.NaN()}, []string{"Config.Backoff is NaN"}},
		{limiter.Config{Algorithm: limiter.AIMD, Backoff: math.Inf(1)}, []string{"Config.Backoff is +Inf"}},
		{limiter.Config{Min: -1, Waiters: -1, Target: 1}, []string{"Config.Min", "Config.Waiters", "Config.Target"}}, // all at once
	} {
		l, err := limiter.New(tt.c)
		if err == nil || l != nil {
			t.Errorf("New(%+v) = %v, nil; want an error", tt.c, l)
			continue
		}
		for _, w := range tt.want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("New(%+v): %q does not say %q", tt.c, err, w)
			}
		}
	}
}

func TestTheZeroConfigHasTheDocumentedDefaults(t *testing.T) {
	for _, tt := range []struct {
		c               limiter.Config
		limit, min, max int
	}{
		{limiter.Config{}, 10, 1, 1000},
		{limiter.Config{Algorithm: limiter.AIMD}, 10, 1, 100},
		{limiter.Config{Algorithm: limiter.Vegas}, 10, 1, 200},
		{limiter.Config{Algorithm: limiter.Gradient}, 10, 1, 200},
		{limiter.Config{Algorithm: limiter.SLO, Target: time.Second}, 10, 1, 1000},
		{limiter.Config{Algorithm: limiter.Fixed, Max: 64}, 64, 1, 64},
		{limiter.Config{Algorithm: limiter.None}, math.MaxInt, 1, 1000},
		{limiter.Config{Min: 50}, 50, 50, 1000},
		{limiter.Config{Max: 4}, 4, 1, 4},
		{limiter.Config{Algorithm: limiter.AIMD, Min: 300}, 300, 300, 300},
	} {
		l, err := limiter.New(tt.c)
		if err != nil {
			t.Errorf("New(%+v): %v", tt.c, err)
			continue
		}
		if s := l.Stat(); s.Limit != tt.limit || s.Min != tt.min || s.Max != tt.max {
			t.Errorf("New(%+v) has limit %d from %d to %d, want %d from %d to %d", tt.c, s.Limit, s.Min, s.Max, tt.limit, tt.min, tt.max)
		}
	}
}

func TestReconfigureIsAllOrNothing(t *testing.T) {
	l := newLimiter(t, limiter.Config{Initial: 10})
	if err := l.Reconfigure(limiter.Config{Min: 3, Max: 2}); err == nil {
		t.Error("a config with Min above Max was taken")
	}
	if s := l.Stat(); s.Min != 1 || s.Max != 1000 || s.Limit != 10 {
		t.Errorf("a refused config changed something: %+v", s)
	}
	for _, tt := range []struct {
		c    limiter.Config
		want int
	}{
		{limiter.Config{Max: 7}, 7},
		{limiter.Config{Min: 9}, 9},
		{limiter.Config{Algorithm: limiter.Fixed, Max: 33}, 33},
		{limiter.Config{Algorithm: limiter.AIMD}, 33},
		{limiter.Config{Algorithm: limiter.None}, math.MaxInt},
		{limiter.Config{Algorithm: limiter.Vegas, Initial: 12}, 12}, // None had no limit to keep
		{limiter.Config{Algorithm: limiter.SLO, Target: time.Second}, 12},
		{limiter.Config{Algorithm: limiter.SLO, Target: time.Minute, Max: 5}, 5},
	} {
		if err := l.Reconfigure(tt.c); err != nil {
			t.Fatal(err)
		}
		if got := l.Limit(); got != tt.want {
			t.Errorf("after Reconfigure(%+v) the limit is %d, want %d", tt.c, got, tt.want)
		}
	}
}

func newLimiter(t testing.TB, c limiter.Config) *limiter.Limiter {
	t.Helper()
	l, err := limiter.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return l
}
