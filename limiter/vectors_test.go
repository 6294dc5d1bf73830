package limiter

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestVegasAsPublished(t *testing.T) {
	const ms = 1e-3
	for _, tt := range []struct {
		limit, noload, rtt float64
		inflight           int
		drop               bool
		want               float64
	}{
		{10, 10 * ms, 10 * ms, 11, false, 16},
		{10, 10 * ms, 50 * ms, 11, false, 9},
		{10, 10 * ms, 14 * ms, 14, false, 10},
		{10_000, 10, 10, 6000, false, 10_024},
		{10, 10 * ms, 10 * ms, 4, false, 10},  // the limit does not bind
		{10, 10 * ms, 10 * ms, 11, true, 9},   // a drop
		{10, 10 * ms, 12 * ms, 10, false, 11}, // a queue of 2
	} {
		if got := vegasStep(tt.limit, tt.noload, tt.rtt, tt.inflight, tt.drop); got != tt.want {
			t.Errorf("vegasStep(%v, %v, %v, %d, %t) = %v, want %v", tt.limit, tt.noload, tt.rtt, tt.inflight, tt.drop, got, tt.want)
		}
	}
}

func TestGradientAsPublished(t *testing.T) {
	for _, tt := range []struct {
		limit, long, short float64
		inflight           int
		want               float64
	}{
		{20, 1, 1, 20, 20.8},
		{20, 1, 1, 9, 20},                       // the limit does not bind
		{20, 1, 1.5, 20, 20.8},                  // within the tolerance
		{20, 1, 3, 20, 0.8*20 + 0.2*(20*0.5+4)}, // half as steep
		{20, 1, 30, 20, 0.8*20 + 0.2*(20*0.5+4)},
	} {
		if got := gradientStep(tt.limit, tt.long, tt.short, tt.inflight); math.Abs(got-tt.want) > 1e-9 {
			t.Errorf("gradientStep(%v, %v, %v, %d) = %v, want %v", tt.limit, tt.long, tt.short, tt.inflight, got, tt.want)
		}
	}
}

func TestTheLongRTTIsAMeanOfTenAndThenAMovingOne(t *testing.T) {
	var l longRTT
	for i := range 10 {
		l.add(float64(i + 1))
	}
	if l.value != 5.5 {
		t.Errorf("after 1 to 10 it is %v, want their mean, 5.5", l.value)
	}
	if got, want := l.add(5.5+601), 5.5+2.0; math.Abs(got-want) > 1e-9 {
		t.Errorf("a value that is 601 above moves it to %v, want %v", got, want)
	}
	l = longRTT{value: 10, n: warmUp}
	if got, want := l.add(1), (10-9*2.0/601)*0.95; math.Abs(got-want) > 1e-9 {
		t.Errorf("far above the short one it becomes %v, want %v", got, want)
	}
}

// The binomial bound against its definition.
func TestTooManyViolationsAreThoseThatChanceBringsOnceInFifty(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 2000).Draw(t, "n")
		k := rapid.IntRange(0, min(n, 60)).Draw(t, "k")
		tail := 0.0
		for i := k; i <= min(n, k+200); i++ {
			a, _ := math.Lgamma(float64(n + 1))
			b, _ := math.Lgamma(float64(i + 1))
			c, _ := math.Lgamma(float64(n - i + 1))
			tail += math.Exp(a - b - c + float64(i)*math.Log(0.01) + float64(n-i)*math.Log(0.99))
		}
		if math.Abs(tail-sloDoubt) < 1e-9 {
			return
		}
		want := tail < sloDoubt && k >= 2 && float64(k) > 0.01*float64(n)
		if got := tooMany(k, n); got != want {
			t.Fatalf("tooMany(%d, %d) = %t, the tail is %v", k, n, got, tail)
		}
	})
}

func TestTheFloorRemembersFiveToTenMinutes(t *testing.T) {
	const minute = int64(time.Minute)
	var m minimum
	for _, tt := range []struct {
		at   int64
		add  float64
		want float64
	}{
		{0, 5, 5},
		{1 * minute, 3, 3},
		{2 * minute, 0, 3}, // nothing was measured
		{4 * minute, 9, 3},
		{6 * minute, 8, 3},  // the first five minutes are the ones before
		{12 * minute, 7, 7}, // and forgotten now
		{-60 * minute, 6, 6},
		{-54 * minute, 9, 6}, // the clock was set back: time goes on from there
		{-48 * minute, 9, 9},
	} {
		if m.add(tt.add, tt.at); m.value() != tt.want {
			t.Errorf("after %v at minute %d the least is %v, want %v", tt.add, tt.at/minute, m.value(), tt.want)
		}
	}
}

// Whatever an algorithm is told, its limit is a number within its bounds, and its plan ends.
func TestAPlanIsSaneWhateverTheWindow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c, err := Config{
			Algorithm: rapid.SampledFrom([]Algorithm{Adaptive, Vegas, Gradient}).Draw(t, "algorithm"),
			Min:       rapid.IntRange(1, 20).Draw(t, "min"), Max: rapid.IntRange(20, 300).Draw(t, "max"),
		}.withDefaults()
		if err != nil {
			t.Fatal(err)
		}
		a := newAlgorithm(c)
		now := int64(1e18)
		p := a.next(window{limit: float64(c.Initial), from: now, to: now})
		for range rapid.IntRange(1, 200).Draw(t, "windows") {
			if !(p.limit >= float64(c.Min) && p.limit <= float64(c.Max)) {
				t.Fatalf("%s: limit %v outside %d to %d", c.Algorithm, p.limit, c.Min, c.Max)
			}
			if p.samples < 1 || p.settle < 0 || p.settle > int64(1000*time.Hour) || p.least < 0 {
				t.Fatalf("%s: plan %+v", c.Algorithm, p)
			}
			w := window{limit: p.limit, from: now}
			for range rapid.IntRange(1, 60).Draw(t, "samples") {
				now += rapid.SampledFrom([]int64{0, 1, 1e6, 1e9, -1e12}).Draw(t, "step")
				took := rapid.SampledFrom([]int64{0, 1, 1e3, 5e7, 4e12}).Draw(t, "took")
				w.add(sample{
					start: now - took, end: now, inflight: rapid.IntRange(1, 400).Draw(t, "inflight"),
					full: rapid.Bool().Draw(t, "full"), drop: rapid.Bool().Draw(t, "drop"),
				}, 0, p.target)
			}
			w.to = now
			p = a.next(w)
		}
	})
}
