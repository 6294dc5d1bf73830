package limiter_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

var oneWaiter sync.Mutex // at a time, in what waits calls

// waits starts a WaitN, and returns once it waits, or is done.
func waits(ctx context.Context, b *limiter.TokenBucket, n int, then func(error)) {
	go func() {
		err := b.WaitN(ctx, n)
		oneWaiter.Lock()
		defer oneWaiter.Unlock()
		then(err)
	}()
	synctest.Wait()
}

func TestThoseWhoWaitAreServedInOrderAndOnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, limiter.Rate{Events: 10, Per: time.Second, Burst: 5})
		began := time.Now()
		var order []int
		var at []time.Duration
		for i, n := range []int{5, 1, 5, 1} {
			waits(t.Context(), b, n, func(err error) {
				if err != nil {
					t.Error(err)
				}
				order, at = append(order, i), append(at, time.Since(began))
			})
		}
		if b.Allow() {
			t.Error("Allow overtook those who wait")
		}
		if s := b.Snapshot(); s.Waiting != 3 || s.Tokens != -7 {
			t.Errorf("%+v, want 3 waiting for 7 tokens", s)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		want := []time.Duration{0, 100 * time.Millisecond, 600 * time.Millisecond, 700 * time.Millisecond}
		if !slices.Equal(at, want) || !slices.IsSorted(order) {
			t.Errorf("served %v at %v, want in order at %v", order, at, want)
		}
	})
}

func TestACancelledWaitGivesBackAndThoseBehindMoveUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, limiter.Rate{Events: 1, Per: time.Second, Burst: 4})
		b.AllowN(time.Now(), 4)
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		var cancelled error
		waits(ctx, b, 4, func(err error) { cancelled = err })
		var at time.Duration
		waits(t.Context(), b, 2, func(error) { at = time.Since(began) })
		time.Sleep(500 * time.Millisecond)
		cancel()
		synctest.Wait()
		if cancelled != context.Canceled {
			t.Errorf("cancelled with %v", cancelled)
		}
		if got := b.Snapshot().Tokens; got != -1.5 {
			t.Errorf("%v tokens, want half of one, less the two waited for", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if at != 2*time.Second {
			t.Errorf("who was behind was served at %v, want 2s", at)
		}
	})
}

func TestAWaitBeyondTheDeadlineFailsAtOnceAndTakesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, limiter.Rate{Events: 1, Per: time.Second, Burst: 1})
		b.Allow()
		began := time.Now()
		for _, tt := range []struct {
			within time.Duration
			want   error
			after  time.Duration
		}{
			{time.Second, limiter.ErrTooLate, 0},
			{time.Second + 1, nil, time.Second},
		} {
			ctx, cancel := context.WithTimeout(t.Context(), tt.within)
			if err := b.Wait(ctx); err != tt.want || time.Since(began) != tt.after {
				t.Errorf("within %v: %v after %v, want %v after %v", tt.within, err, time.Since(began), tt.want, tt.after)
			}
			cancel()
		}
		if !errors.Is(limiter.ErrTooLate, context.DeadlineExceeded) {
			t.Error("ErrTooLate is no deadline exceeded")
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := b.Wait(ctx); err != context.Canceled {
			t.Errorf("with a context that has ended: %v", err)
		}
	})
}

func TestAWaitForWhatCanNeverBeIsAnError(t *testing.T) {
	b := newBucket(t, limiter.Rate{Events: 1, Per: time.Second, Burst: 3})
	if err := b.WaitN(t.Context(), 4); !errors.Is(err, limiter.ErrBurst) || !strings.Contains(err.Error(), "4 tokens, the burst is 3") {
		t.Errorf("above the burst: %v", err)
	}
	for _, n := range []int{0, -1} {
		if err := b.WaitN(t.Context(), n); err == nil || !strings.Contains(err.Error(), "at least 1") {
			t.Errorf("WaitN(%d): %v", n, err)
		}
	}
}

func TestSetRateMovesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, limiter.Rate{Events: 1, Per: time.Hour, Burst: 10})
		b.AllowN(time.Now(), 10)
		began := time.Now()
		var first, second time.Duration
		var tooMuch error
		waits(t.Context(), b, 2, func(error) { first = time.Since(began) })
		waits(t.Context(), b, 10, func(err error) { tooMuch = err })
		waits(t.Context(), b, 3, func(error) { second = time.Since(began) })
		time.Sleep(time.Hour) // one token is there
		if err := b.SetRate(limiter.Rate{Events: 1, Per: time.Second, Burst: 5}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if !errors.Is(tooMuch, limiter.ErrBurst) {
			t.Errorf("who waits for more than the new burst: %v", tooMuch)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if first != time.Hour+time.Second || second != time.Hour+4*time.Second {
			t.Errorf("served at %v and %v, want 1h0m1s and 1h0m4s", first, second)
		}
		if got := b.Snapshot(); got.Tokens != 5 || got.Waiting != 0 {
			t.Errorf("%+v, want a full bucket", got)
		}
	})
}

func TestSetRateEndsTheWaitsThatAreTooFarToCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, limiter.Rate{Events: 1, Per: time.Second, Burst: 20_000})
		b.AllowN(time.Now(), 20_000)
		var served, late int
		for range 4 {
			waits(t.Context(), b, 20_000, func(err error) {
				switch err {
				case nil:
					served++
				case limiter.ErrTooLate:
					late++
				}
			})
		}
		if err := b.SetRate(limiter.Rate{Events: 1, Per: 300 * 24 * time.Hour, Burst: 20_000}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if late == 0 || served != 0 {
			t.Errorf("%d served, %d told that it is too late", served, late)
		}
		if err := b.SetRate(limiter.Rate{Events: 1e6, Per: time.Second, Burst: 20_000}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if served+late != 4 || served == 0 {
			t.Errorf("%d served, %d told that it is too late, want 4", served, late)
		}
	})
}

func TestARefundServesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBucket(t, limiter.Rate{Events: 1, Per: time.Hour, Burst: 3})
		b.AllowN(time.Now(), 3)
		served := false
		waits(t.Context(), b, 2, func(err error) { served = err == nil })
		b.Refund(1)
		synctest.Wait()
		if served {
			t.Error("served with one token of two")
		}
		b.Refund(1)
		synctest.Wait()
		if !served || b.Allow() {
			t.Errorf("served is %t with what was given back, and nothing is left for others", served)
		}
	})
}

// Many wait for a while with contexts that end at any time. Those who are served are as
// many as the rate allows, and nothing is lost: the bucket is full a burst later.
func TestNothingIsLostInATurmoilOfWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const seconds, events, burst = 10, 100, 10
		b := newBucket(t, limiter.Rate{Events: events, Per: time.Second, Burst: burst})
		began := time.Now()
		var mu sync.Mutex
		served := 0
		var group sync.WaitGroup
		for g := range 50 {
			group.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(g)))
				for time.Since(began) < seconds*time.Second {
					ctx, cancel := context.WithCancel(t.Context())
					stop := time.AfterFunc(time.Duration(random.IntN(800))*time.Millisecond, cancel)
					n := 1 + random.IntN(3)
					if b.WaitN(ctx, n) == nil {
						mu.Lock()
						served += n
						mu.Unlock()
					}
					stop.Stop()
					cancel()
				}
			})
		}
		group.Wait()
		took := time.Since(began).Seconds()
		if most, least := burst+events*took, events*took-1; float64(served) > most || float64(served) < least {
			t.Errorf("%d served in %vs, want %v to %v", served, took, least, most)
		}
		left := b.Snapshot()
		if sum := float64(served) + left.Tokens; sum < burst+events*took-1e-3 || sum > burst+events*took+1e-3 || left.Waiting != 0 {
			t.Errorf("%d served and %+v, together %v, want %v", served, left, sum, burst+events*took)
		}
	})
}
