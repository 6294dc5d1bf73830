package limiter_test

import (
	"context"
	"errors"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/limiter"
)

func fixed(t testing.TB, n int) *limiter.Limiter {
	t.Helper()
	return newLimiter(t, limiter.Config{Algorithm: limiter.Fixed, Max: n})
}

func mustTry(t testing.TB, l *limiter.Limiter) limiter.Permit {
	t.Helper()
	p, ok := l.TryAcquire()
	if !ok {
		t.Fatal("no permit is free")
	}
	return p
}

func TestAPermitIsGivenBackOnce(t *testing.T) {
	l := fixed(t, 1)
	first := mustTry(t, l)
	again := first
	first.Release(limiter.Success)
	second := mustTry(t, l) // in the same slot
	first.Release(limiter.Success)
	again.Release(limiter.Drop)
	if s := l.Stat(); s.InFlight != 1 || s.Success != 1 || s.Drop != 0 {
		t.Errorf("releasing a permit again freed somebody else's: %+v", s)
	}
	if _, ok := l.TryAcquire(); ok {
		t.Error("there are two permits of one")
	}
	second.Release(limiter.Success)
	if s := l.Stat(); s.InFlight != 0 || s.Success != 2 {
		t.Errorf("the second permit was not given back: %+v", s)
	}
}

func TestTheZeroPermitDoesNothing(t *testing.T) {
	var p limiter.Permit
	p.Release(limiter.Success)
	p.ReleaseAt(time.Now(), limiter.Drop)
	if !p.Start().IsZero() || p.Elapsed() != 0 {
		t.Errorf("it started at %v, %v ago", p.Start(), p.Elapsed())
	}
}

func TestAnUnknownOutcomeIsIgnored(t *testing.T) {
	l := fixed(t, 1)
	mustTry(t, l).Release(limiter.Outcome(200))
	if s := l.Stat(); s.Ignore != 1 || s.InFlight != 0 {
		t.Errorf("%+v", s)
	}
}

func TestAPermitKnowsItsStart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, began := fixed(t, 1), time.Now()
		time.Sleep(time.Second)
		p := mustTry(t, l)
		time.Sleep(3 * time.Second)
		if got := p.Elapsed(); got != 3*time.Second {
			t.Errorf("elapsed %v, want 3s", got)
		}
		if got := p.Start().Sub(began); got != time.Second {
			t.Errorf("it started after %v, want 1s", got)
		}
	})
}

// An acquire and a release in a defer keep a panicking handler from losing its permit.
func TestAPermitSurvivesAPanic(t *testing.T) {
	l := fixed(t, 1)
	func() {
		defer func() { _ = recover() }()
		p := mustTry(t, l)
		defer p.Release(limiter.Ignore)
		panic("handler")
	}()
	mustTry(t, l)
}

func TestAcquireServesInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 1)
		held := mustTry(t, l)
		var order []int
		var wg sync.WaitGroup
		for i := range 10 {
			wg.Go(func() {
				p, err := l.Acquire(t.Context())
				if err != nil {
					t.Error(err)
				}
				order = append(order, i) // one permit: one at a time
				time.Sleep(time.Second)
				p.Release(limiter.Success)
			})
			synctest.Wait()
		}
		if s := l.Stat(); s.Waiting != 10 {
			t.Errorf("%d wait, want 10", s.Waiting)
		}
		held.Release(limiter.Success)
		if _, ok := l.TryAcquire(); ok {
			t.Error("TryAcquire overtook those who wait")
		}
		wg.Wait()
		for i, n := range order {
			if i != n {
				t.Fatalf("served in the order %v", order)
			}
		}
	})
}

func TestAcquireEndsWithItsContextAndLosesNoPermit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 1)
		held := mustTry(t, l)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire: %v, want the deadline", err)
		}
		if _, err := l.Acquire(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Acquire with a context that has ended: %v", err)
		}
		held.Release(limiter.Success)
		mustTry(t, l)
		if s := l.Stat(); s.Waiting != 0 || s.GaveUp != 1 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTooManyWaitersAreRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLimiter(t, limiter.Config{Algorithm: limiter.Fixed, Max: 1, Waiters: 1})
		held := mustTry(t, l)
		var wg sync.WaitGroup
		wg.Go(func() {
			p, err := l.Acquire(t.Context())
			if err != nil {
				t.Error(err)
			}
			p.Release(limiter.Success)
		})
		synctest.Wait()
		if _, err := l.Acquire(t.Context()); !errors.Is(err, limiter.ErrCrowded) {
			t.Errorf("the second waiter got %v", err)
		}
		held.Release(limiter.Success)
		wg.Wait()
	})
}

// A raise of the limit serves those who wait, as many as fit.
func TestAHigherLimitServesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := fixed(t, 1)
		mustTry(t, l)
		var got atomic.Int32
		ctx, cancel := context.WithCancel(t.Context())
		for range 5 {
			go func() {
				if _, err := l.Acquire(ctx); err == nil {
					got.Add(1)
				}
			}()
		}
		synctest.Wait()
		if err := l.Reconfigure(limiter.Config{Algorithm: limiter.Fixed, Max: 4}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if n := got.Load(); n != 3 {
			t.Errorf("%d were served, want 3", n)
		}
		cancel()
		synctest.Wait()
	})
}

// Whoever was refused is called when there is room, however release and refusal meet: a
// scheduler as in the documentation of Ready never sleeps while a permit is free.
func TestNoWakeUpIsLost(t *testing.T) {
	const rounds, workers = 5000, 4
	wake := make(chan struct{}, 1)
	l := newLimiter(t, limiter.Config{Algorithm: limiter.Fixed, Max: 2, OnReady: func() {
		select {
		case wake <- struct{}{}:
		default:
		}
	}})
	work := make(chan limiter.Permit)
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for p := range work {
				p.Release(limiter.Success)
			}
		})
	}
	for range rounds {
		p, ok := l.TryAcquire()
		for !ok {
			<-wake // forever, if a wake-up is lost: the test times out
			p, ok = l.TryAcquire()
		}
		work <- p
	}
	close(work)
	wg.Wait()
}

func TestReadyArmsOneCall(t *testing.T) {
	calls := 0
	l := newLimiter(t, limiter.Config{Algorithm: limiter.Fixed, Max: 1, OnReady: func() { calls++ }})
	if !l.Ready() {
		t.Error("not ready at first")
	}
	mustTry(t, l).Release(limiter.Success)
	if calls != 0 {
		t.Error("OnReady was called though nobody was refused")
	}
	p := mustTry(t, l)
	if first, second := l.Ready(), l.Ready(); first || second {
		t.Error("ready without a free permit")
	}
	p.Release(limiter.Success)
	mustTry(t, l).Release(limiter.Success)
	if calls != 1 {
		t.Errorf("OnReady was called %d times, want 1", calls)
	}
	p = mustTry(t, l)
	l.TryAcquire()
	if err := l.Reconfigure(limiter.Config{Algorithm: limiter.Fixed, Max: 2}); err != nil {
		t.Fatal(err)
	}
	if calls != 2 {
		t.Error("a higher limit did not call OnReady")
	}
	p.Release(limiter.Success)
}

// Changes are told in order, without a lock held: the callback may use the limiter.
func TestChangesAreToldInOrder(t *testing.T) {
	var l *limiter.Limiter
	var seen []limiter.Change
	l = newLimiter(t, limiter.Config{Algorithm: limiter.Fixed, Max: 1, OnChange: func(c limiter.Change) {
		seen = append(seen, c)
		if c.New < 5 {
			if err := l.Reconfigure(limiter.Config{Algorithm: limiter.Fixed, Max: c.New + 1}); err != nil {
				t.Error(err)
			}
		}
	}})
	if err := l.Reconfigure(limiter.Config{Algorithm: limiter.Fixed, Max: 2}); err != nil {
		t.Fatal(err)
	}
	for i, c := range seen {
		if c.Old != i+1 || c.New != i+2 || c.Why != limiter.Reconfigured {
			t.Errorf("change %d is %+v", i, c)
		}
	}
	if len(seen) != 4 || l.Stat().Last != seen[3] {
		t.Errorf("told %+v, the last one is %+v", seen, l.Stat().Last)
	}
}

func TestAPanickingCallbackDoesNotSilenceTheNext(t *testing.T) {
	calls := 0
	l := newLimiter(t, limiter.Config{Algorithm: limiter.Fixed, Max: 1, OnChange: func(limiter.Change) {
		if calls++; calls == 1 {
			panic("callback")
		}
	}})
	func() {
		defer func() { _ = recover() }()
		_ = l.Reconfigure(limiter.Config{Algorithm: limiter.Fixed, Max: 2})
	}()
	if err := l.Reconfigure(limiter.Config{Algorithm: limiter.Fixed, Max: 3}); err != nil || calls != 2 {
		t.Errorf("the callback was called %d times, %v", calls, err)
	}
}

// A wake-up is promised, whatever becomes of the change that made it possible.
func TestAPanickingCallbackCostsNoWakeUp(t *testing.T) {
	ready, changes := 0, 0
	l := newLimiter(t, limiter.Config{
		Algorithm: limiter.Fixed, Max: 1,
		OnChange: func(limiter.Change) { changes++; panic("change") },
		OnReady:  func() { ready++; panic("ready") },
	})
	mustTry(t, l)
	for n := 1; n <= 2; n++ {
		if l.Ready() {
			t.Fatal("ready without a free permit")
		}
		func() {
			defer func() { _ = recover() }()
			_ = l.Reconfigure(limiter.Config{Algorithm: limiter.Fixed, Max: n + 1})
		}()
		if ready != n || changes != n {
			t.Errorf("OnReady was called %d times and OnChange %d times, want %d", ready, changes, n)
		}
		mustTry(t, l)
	}
}

func TestNoneLimitsNothingAndCounts(t *testing.T) {
	l := newLimiter(t, limiter.Config{Algorithm: limiter.None})
	for range 2000 {
		mustTry(t, l)
	}
	p := mustTry(t, l)
	p.Release(limiter.Drop)
	if s := l.Stat(); s.InFlight != 2000 || s.Limit != math.MaxInt || s.Drop != 1 {
		t.Errorf("%+v", s)
	}
}

// Many goroutines, every entry, under the race detector: the permits out never exceed the
// highest limit, and at the end none is missing.
func TestPermitsAreConserved(t *testing.T) {
	const most = 8
	l := newLimiter(t, limiter.Config{Algorithm: limiter.AIMD, Max: most, Initial: 3, Successes: 2, OnReady: func() {}})
	var out, peak atomic.Int64
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 1000 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(i%3)*50*time.Microsecond)
				p, err := l.Acquire(ctx)
				cancel()
				if err != nil {
					var ok bool
					if p, ok = l.TryAcquire(); !ok {
						continue
					}
				}
				n := out.Add(1)
				for o := peak.Load(); n > o && !peak.CompareAndSwap(o, n); o = peak.Load() {
				}
				runtime.Gosched()
				out.Add(-1)
				p.Release(limiter.Outcome((g + i) % 3))
				p.Release(limiter.Success)
			}
		})
	}
	wg.Wait()
	if s := l.Stat(); s.InFlight != 0 || s.Waiting != 0 || s.Acquired != s.Success+s.Drop+s.Ignore {
		t.Errorf("%+v", s)
	}
	if peak.Load() > most {
		t.Errorf("%d permits were out, the limit was never above %d", peak.Load(), most)
	}
}

// A model of what permits promise, over any history with a clock that stumbles.
func TestAnyHistoryKeepsTheBooks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := limiter.Config{
			Algorithm: rapid.SampledFrom([]limiter.Algorithm{
				limiter.Adaptive, limiter.Fixed, limiter.AIMD, limiter.Vegas, limiter.Gradient, limiter.SLO,
			}).Draw(t, "algorithm"),
			Min: 2, Max: 9,
		}
		if c.Algorithm == limiter.SLO {
			c.Target = 50 * time.Millisecond
		}
		l, err := limiter.New(c)
		if err != nil {
			t.Fatal(err)
		}
		now := time.Now()
		var out, spent []limiter.Permit
		for range rapid.IntRange(1, 400).Draw(t, "steps") {
			now = now.Add(rapid.SampledFrom([]time.Duration{0, time.Millisecond, 50 * time.Millisecond, time.Hour, -time.Hour}).Draw(t, "step"))
			switch rapid.IntRange(0, 3).Draw(t, "what") {
			case 0, 1:
				limit := l.Limit()
				p, ok := l.TryAcquireAt(now)
				if ok != (len(out) < limit) {
					t.Fatalf("%d of %d are out, TryAcquire says %t", len(out), limit, ok)
				}
				if ok {
					out = append(out, p)
				}
			case 2:
				if len(out) > 0 {
					i := rapid.IntRange(0, len(out)-1).Draw(t, "which")
					out[i].ReleaseAt(now, limiter.Outcome(rapid.IntRange(0, 4).Draw(t, "outcome")))
					spent = append(spent, out[i])
					out = append(out[:i], out[i+1:]...)
				}
			case 3:
				if len(spent) > 0 {
					spent[rapid.IntRange(0, len(spent)-1).Draw(t, "spent")].ReleaseAt(now, limiter.Drop)
				}
			}
			if s := l.Stat(); s.InFlight != len(out) || s.Limit < 2 || s.Limit > 9 {
				t.Fatalf("%d are out: %+v", len(out), s)
			}
		}
	})
}
