package demo

import (
	"testing"
	"time"
)

func TestScenariosFollowEachOther(t *testing.T) {
	for _, tt := range []struct {
		elapsed, duration time.Duration
		want              Scenario
	}{
		{0, 0, Normal},
		{19 * time.Second, 0, Normal},
		{20 * time.Second, 0, Spike},
		{40 * time.Second, 0, SlowDownstream},
		{60 * time.Second, 0, Normal},
		{20 * time.Second, time.Hour, Spike},
		{9 * time.Second, 30 * time.Second, Normal},
		{10 * time.Second, 30 * time.Second, Spike},
		{29 * time.Second, 30 * time.Second, SlowDownstream},
		{time.Second, time.Nanosecond, Spike},
	} {
		if got := sceneOf(tt.elapsed, tt.duration); got != tt.want {
			t.Errorf("after %v of %v it is %q, want %q", tt.elapsed, tt.duration, got, tt.want)
		}
	}
}

func TestQuantilesAreWithinAFifth(t *testing.T) {
	var w waits
	if got := w.quantile(0.99); got != 0 {
		t.Errorf("quantile of nothing is %v", got)
	}
	for i := range 1000 {
		w.add(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := w.quantile(q); got < want || got > want*12/10 {
			t.Errorf("quantile %v is %v, want %v or a fifth more", q, got, want)
		}
	}
	w.add(1000 * time.Hour)
	if got := w.quantile(1); got < time.Hour {
		t.Errorf("the longest is %v", got)
	}
}
