package redisbucket_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

// One schedules with either.
type admission interface {
	Allow() bool
	AllowN(now time.Time, n int) bool
	Next(now time.Time, n int) (time.Time, bool)
	Refund(n int)
	SetRate(r limiter.Rate) error
	Wait(ctx context.Context) error
	WaitN(ctx context.Context, n int) error
}

var (
	_ admission = (*limiter.TokenBucket)(nil)
	_ admission = (*redisbucket.Bucket)(nil)
)

// inBubble runs f on one limiter whose Redis is a millisecond away, in virtual time.
func inBubble(t *testing.T, c redisbucket.Config, f func(t *testing.T, l *redisbucket.Limiter, r *fake)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newFake()
		r.delay = time.Millisecond
		fleet, done := r.limiters(t, 1, c)
		defer done()
		time.Sleep(time.Second) // it is connected
		f(t, fleet[0], r)
	})
}

func bucket(t *testing.T, l *redisbucket.Limiter, key string, r limiter.Rate) *redisbucket.Bucket {
	t.Helper()
	b, err := l.Bucket(key, r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestABucketNeverWaitsAndSaysWhenToTryAgain(t *testing.T) {
	inBubble(t, redisbucket.Config{Rate: perSecond(10, 3)}, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		b := bucket(t, l, "k", limiter.Rate{})
		begun := time.Now()
		if b.Allow() {
			t.Error("it admits before anybody asked Redis")
		}
		if !time.Now().Equal(begun) {
			t.Error("it waited")
		}
		got := 0
		for time.Since(begun) < 10*time.Second {
			if b.Allow() {
				got++
			}
			at, ok := b.Next(time.Now(), 1)
			if !ok {
				t.Fatal("there is no next time")
			}
			time.Sleep(max(time.Until(at), 0)) // exactly then, or at once
			if !b.Allow() {
				time.Sleep(time.Millisecond)
				continue
			}
			got++
		}
		if want := 3 + 10*10; got < want*98/100 || got > want+2 {
			t.Errorf("admitted %d, want %d", got, want)
		}
		if trips := l.Stats().RoundTrips; trips > 300 {
			t.Errorf("%d round trips for %d", trips, got)
		}
		for _, n := range []int{0, -1, 4} {
			if _, ok := b.Next(time.Now(), n); ok || b.AllowN(time.Now(), n) {
				t.Errorf("%d tokens of a burst of 3 can be had", n)
			}
		}
	})
}

func TestMoreThanTheBurstIsAnErrorForEver(t *testing.T) {
	inBubble(t, redisbucket.Config{Rate: perSecond(10, 3)}, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		if ok, err := l.AllowN(t.Context(), "k", 4); ok || !errors.Is(err, limiter.ErrBurst) {
			t.Errorf("4 of 3: %t, %v", ok, err)
		}
		if err := l.WaitN(t.Context(), "k", 4); !errors.Is(err, limiter.ErrBurst) {
			t.Errorf("4 of 3: %v", err)
		}
		if ok, err := l.AllowN(t.Context(), "k", 3); !ok || err != nil {
			t.Errorf("3 of 3: %t, %v", ok, err)
		}
		if _, err := l.AllowN(t.Context(), "k", 0); err == nil {
			t.Error("0 are admitted")
		}
	})
}

func TestWaitersAreServedInOrderAtTheRate(t *testing.T) {
	inBubble(t, redisbucket.Config{Rate: perSecond(100, 1)}, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		var wg sync.WaitGroup
		var at [50]time.Duration
		begun := time.Now()
		for i := range at {
			wg.Go(func() {
				if err := l.Wait(context.Background(), "k"); err != nil {
					t.Error(err)
				}
				at[i] = time.Since(begun)
			})
			synctest.Wait()
		}
		wg.Wait()
		if !slices.IsSorted(at[:]) {
			t.Errorf("served at %v", at)
		}
		// 20 in half a lease are a bucket for a burst of one: the bound is in the rest.
		if took := time.Since(begun); took > 500*time.Millisecond+50*time.Millisecond || took < 300*time.Millisecond {
			t.Errorf("50 at 100 a second took %v", took)
		}
	})
}

func TestAWaitThatCannotEndInTimeIsRefusedAtOnce(t *testing.T) {
	inBubble(t, redisbucket.Config{Rate: perSecond(0.1, 1)}, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		if err := l.Wait(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := l.Wait(ctx, "k"); !errors.Is(err, limiter.ErrTooLate) || time.Since(begun) > 0 {
			t.Errorf("a token in 10 s by 5 s: %v after %v", err, time.Since(begun))
		}
		ctx, stop := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, stop)
		if err := l.Wait(ctx, "k"); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		if err := l.Wait(t.Context(), "k"); err != nil {
			t.Errorf("after one that was cancelled: %v", err)
		}
		if took := time.Since(begun); took > 11*time.Second {
			t.Errorf("the token of who was cancelled was lost: %v", took)
		}
	})
}

func TestALowRateLosesNoToken(t *testing.T) {
	inBubble(t, redisbucket.Config{Rate: limiter.Rate{Events: 6, Per: time.Minute, Burst: 2}}, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		got := 0
		begun := time.Now()
		for time.Since(begun) < 10*time.Minute {
			if ok, err := l.Allow(t.Context(), "k"); err != nil {
				t.Fatal(err)
			} else if ok {
				got++
			}
			time.Sleep(time.Second)
		}
		if got < 60 || got > 62 {
			t.Errorf("admitted %d in 10 minutes at 6 a minute", got)
		}
		time.Sleep(time.Minute)
		for range 2 { // the second was not fetched with the first, to be lost before it is asked for
			if ok, err := l.Allow(t.Context(), "k"); !ok || err != nil {
				t.Error("a token of the burst is not there")
			}
			time.Sleep(time.Second)
		}
	})
}

func TestTheRateChangesWhileRunning(t *testing.T) {
	inBubble(t, redisbucket.Config{Rate: perSecond(100, 10)}, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		b := bucket(t, l, "k", perSecond(10, 2))
		count := func(d time.Duration) (n int) {
			for begun := time.Now(); time.Since(begun) < d; time.Sleep(time.Millisecond) {
				if ok, _ := l.Allow(t.Context(), "k"); ok {
					n++
				}
			}
			return n
		}
		if got := count(10 * time.Second); got < 98 || got > 104 {
			t.Errorf("admitted %d in 10 s at 10 a second", got)
		}
		waited := make(chan error)
		go func() { waited <- b.WaitN(context.Background(), 2) }()
		synctest.Wait()
		if err := b.SetRate(perSecond(1_000, 1)); err != nil {
			t.Fatal(err)
		}
		if err := <-waited; !errors.Is(err, limiter.ErrBurst) {
			t.Errorf("who waits for 2 when the burst becomes 1: %v", err)
		}
		if got := count(10 * time.Second); got < 9_000 || got > 10_210 {
			t.Errorf("admitted %d in 10 s at 1000 a second", got)
		}
		slow := bucket(t, l, "slow", limiter.Rate{Events: 1, Per: time.Hour, Burst: 1})
		if err := slow.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := slow.SetRate(perSecond(10, 1)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(200 * time.Millisecond)
		if ok, err := l.Allow(t.Context(), "slow"); !ok || err != nil {
			t.Errorf("it still waits for the hour of the old rate: %t, %v", ok, err)
		}
		if err := b.SetRate(perSecond(-1, 1)); err == nil {
			t.Error("a negative rate is taken")
		}
		if r, err := b.Rate(); err != nil || r.Events != 1_000 || r.Burst != 1 {
			t.Errorf("the rate is %v, %v", r, err)
		}
	})
}

func TestRefreshAsksForTheRateAgain(t *testing.T) {
	var rate atomic.Int64
	rate.Store(5)
	c := redisbucket.Config{Rate: perSecond(1, 1), RateFor: func(key string) limiter.Rate {
		if key == "bad" {
			return limiter.Rate{}
		}
		return perSecond(float64(rate.Load()), 1)
	}}
	inBubble(t, c, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		own := bucket(t, l, "own", perSecond(7, 1))
		b := bucket(t, l, "k", limiter.Rate{})
		rate.Store(50)
		if err := l.Refresh(); err != nil {
			t.Error(err)
		}
		for _, tt := range []struct {
			b    *redisbucket.Bucket
			want float64
		}{{b, 50}, {own, 7}} {
			if r, err := tt.b.Rate(); err != nil || r.Events != tt.want {
				t.Errorf("the rate is %v, %v, want %v", r, err, tt.want)
			}
		}
		if _, err := l.Allow(t.Context(), "bad"); err == nil || !strings.Contains(err.Error(), "Rate.Events") {
			t.Errorf("a bad rate of a key: %v", err)
		}
	})
}

func TestWhatIsGivenBackIsUsedAgain(t *testing.T) {
	inBubble(t, redisbucket.Config{Rate: limiter.Rate{Events: 1, Per: time.Hour, Burst: 1}}, func(t *testing.T, l *redisbucket.Limiter, _ *fake) {
		b := bucket(t, l, "k", limiter.Rate{})
		if err := b.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		if b.Allow() {
			t.Error("there are two")
		}
		b.Refund(1)
		if !b.Allow() || b.Allow() {
			t.Error("what was given back is not there, or more than that")
		}
	})
}
