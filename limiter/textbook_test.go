package limiter_test

import (
	"testing"

	"github.com/spillwaymq/spillway/limiter"
)

// permits counts how many Acquire lets run, and gives them back as the outcome says.
func permits(l *limiter.AIMDLimiter) int {
	n := 0
	for l.Acquire() {
		n++
	}
	return n
}

func TestAIMDOfTheTextbook(t *testing.T) {
	l, err := limiter.NewAIMD(limiter.AIMDConfig{})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(when string, want int) {
		t.Helper()
		n := permits(l)
		if n != want {
			t.Errorf("%s: %d permits, want %d", when, n, want)
		}
		for range n - 1 {
			l.Release(true)
		}
		l.Release(true)
	}
	if n := permits(l); n != 10 {
		t.Fatalf("begins with %d permits, want 10", n)
	}
	for range 10 {
		l.Release(true)
	}
	for range 10 {
		l.Acquire()
		l.Release(true)
	}
	expect("after 20 successes", 11)
	l.Acquire()
	l.Release(false)
	expect("after a failure", 5)
	for range 20 {
		l.Acquire()
		l.Release(false)
	}
	expect("after many failures", 1)
	for range 20 * 500 {
		l.Acquire()
		l.Release(true)
	}
	expect("after very many successes", 100)
}

func TestAIMDReleaseWithoutAcquireDoesNothing(t *testing.T) {
	l, err := limiter.NewAIMD(limiter.AIMDConfig{Initial: 2, Successes: 1})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		l.Release(true)
		l.Release(false)
	}
	if n := permits(l); n != 2 {
		t.Errorf("%d permits, want the 2 of the beginning", n)
	}
}

func TestAIMDConfigMistakesAreErrors(t *testing.T) {
	for _, c := range []limiter.AIMDConfig{
		{Initial: -1}, {Min: 5, Max: 4}, {Successes: -1}, {Backoff: 2}, {Max: 5, Initial: 6},
	} {
		if l, err := limiter.NewAIMD(c); err == nil {
			t.Errorf("NewAIMD(%+v) = %v, nil", c, l)
		}
	}
}
