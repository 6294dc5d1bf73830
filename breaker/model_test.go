package breaker_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/breaker"
)

var start = time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)

// A model remembers every result since the breaker was closed, and counts them all again
// each time.
type model struct {
	c       breaker.Config
	results []result
}

type result struct {
	at           time.Time
	failed, slow bool
}

// bucket counts from the first result.
func (m *model) bucket(at time.Time) int64 {
	width := min(time.Second, m.c.Window/10)
	return int64(at.Sub(m.results[0].at) / width)
}

func (m *model) inWindow(i int, now time.Time) bool {
	if m.c.Calls > 0 {
		return i >= len(m.results)-m.c.Calls
	}
	width := min(time.Second, m.c.Window/10)
	buckets := int64((m.c.Window + width - 1) / width)
	return m.bucket(m.results[i].at) > m.bucket(now)-buckets
}

func (m *model) count(now time.Time) (calls, failures, slow int) {
	for i, r := range m.results {
		if m.inWindow(i, now) {
			calls++
			if r.failed {
				failures++
			}
			if r.slow {
				slow++
			}
		}
	}
	return calls, failures, slow
}

func (m *model) trips(now time.Time) (breaker.Reason, bool) {
	calls, failures, slow := m.count(now)
	switch {
	case calls < m.c.MinCalls:
		return "", false
	case float64(failures)/float64(calls) >= m.c.FailureRatio:
		return breaker.TooManyFailures, true
	case m.c.SlowCall > 0 && float64(slow)/float64(calls) >= m.c.SlowRatio:
		return breaker.TooManySlow, true
	}
	return "", false
}

func drawConfig(t *rapid.T) breaker.Config {
	c := breaker.Config{
		FailureRatio: rapid.SampledFrom([]float64{0.1, 0.2, 1. / 3, 0.5, 0.7, 1}).Draw(t, "failureRatio"),
		MinCalls:     rapid.IntRange(1, 12).Draw(t, "minCalls"),
		Open:         5 * time.Second, MaxOpen: 60 * time.Second, Probes: rapid.IntRange(1, 3).Draw(t, "probes"),
	}
	if rapid.Bool().Draw(t, "slow") {
		c.SlowCall = 100 * time.Millisecond
		c.SlowRatio = rapid.SampledFrom([]float64{0.3, 0.5, 1}).Draw(t, "slowRatio")
	}
	if rapid.Bool().Draw(t, "countWindow") {
		c.Calls = rapid.IntRange(c.MinCalls, 20).Draw(t, "calls")
	} else {
		c.Window = rapid.SampledFrom([]time.Duration{500 * time.Millisecond, 3 * time.Second, 10 * time.Second, 15500 * time.Millisecond}).Draw(t, "window")
	}
	return c
}

func TestABreakerOpensWhenItsModelDoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawConfig(t)
		var last breaker.Transition
		c.OnStateChange = func(tr breaker.Transition) { last = tr }
		b, err := breaker.New(c)
		if err != nil {
			t.Fatal(err)
		}
		m, now := &model{c: c}, start
		for range rapid.IntRange(1, 150).Draw(t, "results") {
			now = now.Add(drawPause(t))
			p, err := b.AllowAt(now)
			if err != nil {
				t.Fatalf("closed, and refused: %v", err)
			}
			took := rapid.SampledFrom([]time.Duration{0, 100 * time.Millisecond, 100*time.Millisecond + 1}).Draw(t, "took")
			now = now.Add(took)
			r := rapid.SampledFrom([]breaker.Result{breaker.Success, breaker.Success, breaker.Failure, breaker.Ignored}).Draw(t, "result")
			p.RecordAt(now, r)
			p.RecordAt(now, breaker.Failure) // does nothing
			why, opens := breaker.Reason(""), false
			if r != breaker.Ignored {
				m.results = append(m.results, result{now, r == breaker.Failure, c.SlowCall > 0 && took > c.SlowCall})
				why, opens = m.trips(now)
			}
			if opens != (b.State() == breaker.Open) {
				t.Fatalf("after %d results: %v, the model opens: %t (%s)", len(m.results), b.State(), opens, why)
			}
			if opens {
				if calls, failures, slow := m.count(now); last.Why != why || last.Calls != calls || last.Failures != failures || last.Slow != slow || !last.At.Equal(now) {
					t.Fatalf("told of %+v, want %s with %d calls, %d failures, %d slow at %v", last, why, calls, failures, slow, now)
				}
				now = reclose(t, b, c, now)
				m.results = nil
				continue
			}
			if len(m.results) > 0 && rapid.Bool().Draw(t, "look") {
				look := now.Add(drawPause(t)) // looking ahead changes nothing
				calls, failures, slow := m.count(look)
				if s := b.SnapshotAt(look); s.Calls != calls || s.Failures != failures || s.Slow != slow {
					t.Fatalf("%+v, want %d calls, %d failures, %d slow", s, calls, failures, slow)
				}
			}
		}
	})
}

func drawPause(t *rapid.T) time.Duration {
	return time.Duration(rapid.SampledFrom([]int{0, 0, 1, 50, 300, 999, 1000, 2500, 20_000}).Draw(t, "pause")) * time.Millisecond
}

// reclose walks through open and half-open, and checks what must hold on the way.
func reclose(t *rapid.T, b *breaker.Breaker, c breaker.Config, now time.Time) time.Time {
	_, err := b.AllowAt(now)
	var open *breaker.OpenError
	if !errors.As(err, &open) || open.State != breaker.Open {
		t.Fatalf("open, and answers %v", err)
	}
	if d := open.Until.Sub(now); d < 4*time.Second || d > 6*time.Second {
		t.Fatalf("opens for %v, want 5s give or take a fifth", d)
	}
	if ok, until := b.Ready(open.Until.Add(-1)); ok || !until.Equal(open.Until) {
		t.Fatalf("ready before Until: %t, %v", ok, until)
	}
	now = open.Until
	if ok, _ := b.Ready(now); !ok {
		t.Fatal("not ready at Until")
	}
	for range c.Probes {
		p, err := b.AllowAt(now)
		if err != nil {
			t.Fatalf("a probe is refused: %v", err)
		}
		p.RecordAt(now, breaker.Success)
	}
	if b.State() != breaker.Closed {
		t.Fatalf("%v after all probes succeeded", b.State())
	}
	return now
}
