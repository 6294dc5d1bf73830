package scenario

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestUsageIsReadFromProcStat(t *testing.T) {
	u, err := parseUsage("cpu  100 20 30 400 50 6 7 8 9 10\ncpu0 1 1 1 1\n")
	if want := (usage{busy: 1710 * time.Millisecond, idle: 4500 * time.Millisecond}); err != nil || u != want {
		t.Errorf("it is %+v (%v), want %+v", u, err, want)
	}
	for _, text := range []string{"", "cpu 1 2", "intr 1 2 3 4 5 6 7 8 9", "cpu a b c d e f g h"} {
		if _, err := parseUsage(text); err == nil {
			t.Errorf("%q is taken for a usage", text)
		}
	}
}

func TestARunIsDisturbedIfOthersTakeMuchAndLittleIsIdle(t *testing.T) {
	second := func(busy, own, idle int) (usage, usage) {
		ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
		return usage{}, usage{busy: ms(busy), own: ms(own), idle: ms(idle)}
	}
	quiet, crowded, roomy := [3]int{2000, 2000, 0}, [3]int{2000, 1500, 0}, [3]int{1000, 500, 1000}
	for _, tt := range []struct {
		name    string
		seconds [][3]int
		want    bool
	}{
		{"nothing was seen", nil, false},
		{"all is ours", [][3]int{quiet, quiet, quiet}, false},
		{"others take a quarter", [][3]int{quiet, crowded, crowded}, true},
		{"others take it from what is idle", [][3]int{roomy, roomy}, false},
		{"one second in six", [][3]int{quiet, quiet, crowded, quiet, quiet, quiet}, false},
	} {
		var l lookout
		for _, s := range tt.seconds {
			l.note(others(second(s[0], s[1], s[2])))
		}
		if got := l.wasDisturbed(); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
		if tt.want && math.Abs(l.worst-0.25) > 1e-9 {
			t.Errorf("%s: the worst is %v", tt.name, l.worst)
		}
	}
	if taken, idle := others(usage{busy: 5}, usage{busy: 5}); taken != 0 || idle != 1 {
		t.Errorf("in no time others took %v, %v was idle", taken, idle)
	}
}

func TestQuantileIsTheLeastThatSoManyDoNotExceed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.IntRange(-50, 50), 1, 60).Draw(t, "values")
		q := rapid.Float64Range(0, 1).Draw(t, "q")
		got := quantile(values, q)
		within := func(v int) float64 {
			n := 0
			for _, x := range values {
				if x <= v {
					n++
				}
			}
			return float64(n) / float64(len(values))
		}
		if !slices.Contains(values, got) || within(got) < q-1e-12 {
			t.Fatalf("quantile %v of %v is %d", q, values, got)
		}
		if got != slices.Min(values) && within(got-1) >= q+1e-12 {
			t.Fatalf("quantile %v of %v is %d, but less would do", q, values, got)
		}
	})
	if quantile([]int(nil), 0.5) != 0 {
		t.Error("of nothing it is something")
	}
}

func TestALedgerCountsEachMessageOnce(t *testing.T) {
	l := newLedger(3)
	for _, seq := range []uint64{1, 3, 3, 3, 0, 4} {
		l.note(seq)
	}
	if h, a, s := l.handled.Load(), l.again.Load(), l.strange.Load(); h != 2 || a != 2 || s != 2 {
		t.Errorf("handled %d, again %d, strange %d", h, a, s)
	}
}

func TestACrowdKnowsWhatWaitsStill(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	c := &crowd{id: 1, waits: map[int]time.Duration{0: 40 * time.Millisecond, 1: 5 * time.Millisecond}, sent: []time.Time{at(0), at(30), at(50)}}
	if last := c.lastStart(at(20)); !last.Equal(at(40)) {
		t.Errorf("what was due before started last at %v", last.Sub(start))
	}
	waits, open := c.since(at(30), at(100))
	if want := []time.Duration{5 * time.Millisecond, 50 * time.Millisecond}; !slices.Equal(waits, want) || open != 1 {
		t.Errorf("waits are %v, %d open", waits, open)
	}
	if f := quietFigure(waits, open, 0.99); !f.AtLeast || f.Value != 0.05 {
		t.Errorf("the figure is %v", f)
	}
	if f := quietFigure(waits, 0, 0.99); f.AtLeast {
		t.Errorf("with nothing open the figure is %v", f)
	}
}

func TestOnlyStreamsOfTheRunAreOurs(t *testing.T) {
	const tag = "SPILLWAY_BENCH_0011AABB_1"
	for name, want := range map[string]bool{
		tag: true, tag + "_OVERFLOW": true, "KV_" + tag + "_worker": true,
		tag + "1": false, tag + "1_DEAD": false, "SPILLWAY_BENCH_0011AABC_1": false, "": false,
	} {
		if got := holdsTag(name, tag); got != want {
			t.Errorf("%q: %v", name, got)
		}
	}
}

func TestTokensOfASubject(t *testing.T) {
	if got := tenantOf("S.acme.work"); got != "acme" {
		t.Errorf("the tenant is %q", got)
	}
	if got := kindOf("S.acme.work"); got != "work" {
		t.Errorf("the kind is %q", got)
	}
	if tenantOf("") != "" || kindOf("") != "" {
		t.Error("of nothing there is something")
	}
}

func TestSharesAreComparedWithWeights(t *testing.T) {
	s := &share{
		runs: map[string]int{"a": 25, "b": 75},
		time: map[string]time.Duration{"a": 30 * time.Second, "b": 70 * time.Second},
	}
	ofTime, ofRuns := s.off(map[string]float64{"a": 1, "b": 3})
	if math.Abs(ofTime-0.2) > 1e-9 || ofRuns != 0 {
		t.Errorf("off by %v of time, %v of runs", ofTime, ofRuns)
	}
}

func TestADuelSharesOnlyWhatLiesInItsWindow(t *testing.T) {
	start := time.Unix(1000, 0)
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	d := &duel{runs: []spell{{slowName, at(0), at(10)}, {fastName, at(2), at(4)}, {fastName, at(20), at(21)}}}
	slow, fast := d.shares(at(1), at(5))
	if slow != 4*time.Second || fast != 2*time.Second {
		t.Errorf("slow has %v, fast %v", slow, fast)
	}
}
