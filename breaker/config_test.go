package breaker_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

func TestReconfigureKeepsTheStateAndWhatItCan(t *testing.T) {
	c := breaker.Config{MinCalls: 4, FailureRatio: 1, Window: 10 * time.Second}
	b := newBreaker(t, c)
	for _, r := range []breaker.Result{breaker.Failure, breaker.Failure, breaker.Success, breaker.Success, breaker.Success, breaker.Success} {
		call(t, b, start, r)
	}
	if err := b.Reconfigure(breaker.Config{FailureRatio: math.NaN()}); err == nil || !strings.Contains(err.Error(), "Config.FailureRatio is NaN") {
		t.Errorf("a bad config: %v", err)
	}
	c.FailureRatio = 0.25
	if err := b.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
	if s := b.SnapshotAt(start); s.Calls != 6 || s.Failures != 2 {
		t.Errorf("%+v, want what was counted", s)
	}
	call(t, b, start, breaker.Success) // 2 of 7
	_, until := b.Ready(start)
	if b.State() != breaker.Open {
		t.Fatal("a lower ratio is not looked at by the next success")
	}
	c.Open, c.Calls, c.Window, c.Probes = time.Second, 10, 0, 3
	if err := b.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
	if ok, u := b.Ready(start); ok || !u.Equal(until) {
		t.Error("open for another time than it has said")
	}
	call(t, b, until, breaker.Success)
	call(t, b, until, breaker.Success)
	c.Probes = 2
	if err := b.Reconfigure(c); err != nil {
		t.Fatal(err)
	}
	if b.State() != breaker.Closed {
		t.Errorf("%v with as many successes as probes are wanted", b.State())
	}
}

func TestBadConfigsAreRefusedByFieldValueAndBound(t *testing.T) {
	for _, tt := range []struct {
		c    breaker.Config
		want []string
	}{
		{breaker.Config{FailureRatio: -0.1}, []string{"Config.FailureRatio is -0.1", "above 0 and at most 1"}},
		{breaker.Config{FailureRatio: 1.1}, []string{"Config.FailureRatio is 1.1"}},
		{breaker.Config{FailureRatio: math.NaN()}, []string{"Config.FailureRatio is NaN"}},
		{breaker.Config{FailureRatio: math.Inf(1)}, []string{"Config.FailureRatio is +Inf"}},
		{breaker.Config{SlowRatio: 0.5}, []string{"Config.SlowRatio is 0.5", "without Config.SlowCall"}},
		{breaker.Config{SlowCall: -1}, []string{"Config.SlowCall is -1ns"}},
		{breaker.Config{MinCalls: -1}, []string{"Config.MinCalls is -1"}},
		{breaker.Config{Calls: 10, MinCalls: 11}, []string{"Config.MinCalls is 11", "Config.Calls, which is 10"}},
		{breaker.Config{Calls: 1_000_001}, []string{"Config.Calls is 1000001", "1000000"}},
		{breaker.Config{Calls: 10, Window: time.Second}, []string{"Config.Window is 1s", "0 with Config.Calls"}},
		{breaker.Config{Window: time.Microsecond}, []string{"Config.Window is 1µs", "from 1ms to 1h0m0s"}},
		{breaker.Config{Window: 2 * time.Hour}, []string{"Config.Window is 2h0m0s"}},
		{breaker.Config{Open: -1}, []string{"Config.Open is -1ns"}},
		{breaker.Config{MaxOpen: time.Second}, []string{"Config.MaxOpen is 1s", "Config.Open, which is 5s"}},
		{breaker.Config{Probes: 10_001}, []string{"Config.Probes is 10001", "10000"}},
		{breaker.Config{ProbeTimeout: -1}, []string{"Config.ProbeTimeout is -1ns"}},
		{breaker.Config{FailureRatio: 2, MinCalls: -1, Open: -1}, []string{"FailureRatio", "MinCalls", "Open"}},
	} {
		b, err := breaker.New(tt.c)
		if err == nil || b != nil {
			t.Errorf("%+v: got a breaker, %v", tt.c, err)
			continue
		}
		for _, want := range tt.want {
			if !strings.Contains(err.Error(), want) {
				t.Errorf("%q does not say %q", err, want)
			}
		}
	}
}

func TestTheZeroConfigIsUsable(t *testing.T) {
	b := newBreaker(t, breaker.Config{})
	for i := range 20 {
		if s := b.SnapshotAt(start); s.State != breaker.Closed || s.Calls != i {
			t.Fatalf("%+v after %d results", s, i)
		}
		call(t, b, start, breaker.Result(i%2))
	}
	if b.State() != breaker.Open {
		t.Errorf("%v after 10 failures of 20", b.State())
	}
}
