package limiter_test

import (
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/limiter"
)

// To the last fraction, of buckets whose clocks were set at one time.
func TestARefundIsAsIfNothingHadBeenTaken(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		with, without, now := newBucket(t, r), newBucket(t, r), bucketStart
		if !with.AllowN(now, 1) || !without.AllowN(now, 1) {
			t.Fatal("the buckets were not full")
		}
		for range rapid.IntRange(1, 40).Draw(t, "ops") {
			now = now.Add(drawStep(t, r))
			n := rapid.IntRange(1, r.Burst).Draw(t, "n")
			if rapid.Bool().Draw(t, "refunded") {
				if with.AllowN(now, n) {
					now = now.Add(drawStep(t, r))
					with.Refund(n)
				}
			} else if a, b := with.AllowN(now, n), without.AllowN(now, n); a != b {
				t.Fatalf("AllowN(%d) = %t after refunds, %t without", n, a, b)
			}
			if a, b := with.Tokens(now), without.Tokens(now); a != b {
				t.Fatalf("%v tokens after a refund, %v without", a, b)
			}
		}
	})
}

func TestARefundBeforeTheBucketIsFullIsExact(t *testing.T) {
	b := newBucket(t, limiter.Rate{Events: 10, Per: time.Second, Burst: 100})
	b.AllowN(bucketStart, 60)
	b.AllowN(bucketStart, 30)
	b.Refund(30)
	b.Refund(0)
	b.Refund(-7)
	if got := b.Tokens(bucketStart.Add(time.Second)); got != 50 {
		t.Errorf("%v tokens, want 100 - 60 + 10", got)
	}
	b.Refund(math.MaxInt)
	if got := b.Tokens(bucketStart.Add(time.Second)); got != 100 {
		t.Errorf("%v tokens after too large a refund, want a full bucket", got)
	}
}

// With an hour for each token and this many, what the bucket counts in comes to an end after
// sixty years, when less than a unit in a nanosecond accrues.
func TestNextHoldsWhenTheBucketCountsAnew(t *testing.T) {
	b, now := newBucket(t, limiter.Rate{Events: 1, Per: time.Hour, Burst: 157_636}), bucketStart
	for _, n := range []int{27_699, 64_444, 127_151, 151_727, 153_268, 157_636} {
		at, ok := b.Next(now, n)
		if !ok || at.After(now) && b.AllowN(at.Add(-1), n) || !b.AllowN(at, n) {
			t.Fatalf("Next(%d), which is %v from now, is not the first moment that admits", n, at.Sub(now))
		}
		now = at
	}
}

// Nothing is lost in rounding, however small the steps and the tokens.
func TestTheSameRateSetAgainChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		with, without, now := newBucket(t, r), newBucket(t, r), bucketStart
		with.AllowN(now, r.Burst)
		without.AllowN(now, r.Burst)
		for range rapid.IntRange(1, 40).Draw(t, "ops") {
			now = now.Add(rapid.OneOf(rapid.Just(time.Nanosecond), rapid.Just(drawStep(t, r))).Draw(t, "step"))
			if err := with.SetRateAt(now, r); err != nil {
				t.Fatal(err)
			}
			n := rapid.IntRange(1, r.Burst).Draw(t, "n")
			if a, b := with.AllowN(now, n), without.AllowN(now, n); a != b {
				t.Fatalf("AllowN(%d) = %t with the rate set again, %t without", n, a, b)
			}
			a, _ := with.Next(now, n)
			b, _ := without.Next(now, n)
			if !a.Equal(b) && b.Sub(bucketStart) < 70*366*24*time.Hour {
				t.Fatalf("Next(%d) is %v away with the rate set again, %v without", n, a.Sub(now), b.Sub(now))
			}
		}
	})
}

func TestSetRateNeitherLosesNorGrants(t *testing.T) {
	b, now := newBucket(t, limiter.Rate{Events: 100, Per: time.Second, Burst: 50}), bucketStart
	b.AllowN(now, 40)
	for i := range 1000 {
		now = now.Add(time.Microsecond)
		if err := b.SetRateAt(now, limiter.Rate{Events: float64(1 + i%7), Per: time.Hour, Burst: 50 + i%9}); err != nil {
			t.Fatal(err)
		}
	}
	if got := b.Tokens(now); got > 10.0002 || got < 9.9999 {
		t.Errorf("%v tokens after a thousand changes, want the 10 that there were, and 1 ms of at most 100/s", got)
	}
	if err := b.SetRateAt(now, limiter.Rate{Events: 1, Per: time.Second, Burst: 4}); err != nil {
		t.Fatal(err)
	}
	if got := b.Tokens(now); got != 4 {
		t.Errorf("%v tokens, want the new burst", got)
	}
	if err := b.SetRateAt(now, limiter.Rate{Events: -1, Per: time.Second}); err == nil {
		t.Error("a bad rate was accepted")
	}
	if got := b.Snapshot().Rate; got.Events != 1 || got.Burst != 4 {
		t.Errorf("a bad rate has changed it to %+v", got)
	}
}

func TestLookingStartsNoClock(t *testing.T) {
	b := newBucket(t, limiter.Rate{Events: 1, Per: time.Second, Burst: 2})
	b.Snapshot()
	b.Next(time.Now(), 1)
	b.Tokens(time.Now())
	b.Refund(1)
	if err := b.SetRate(limiter.Rate{Events: 1, Per: time.Second, Burst: 3}); err != nil {
		t.Fatal(err)
	}
	if past := time.Unix(0, 0); !b.AllowN(past, 2) || b.AllowN(past, 1) || !b.AllowN(past.Add(time.Second), 1) {
		t.Error("the first to ask does not set the clock")
	}
}

// Nothing accrues in an instant, so what was taken and what is left are what was there.
func TestNoTokenIsLostOrDoubledWhileTheRateChanges(t *testing.T) {
	const burst, goroutines = 1_000_000, 4
	b := newBucket(t, limiter.Rate{Events: 1, Per: time.Hour, Burst: burst})
	b.AllowN(bucketStart, 1)
	var taken atomic.Int64
	taken.Add(1)
	var group sync.WaitGroup
	for range goroutines {
		group.Go(func() {
			for i := range 20_000 {
				if b.AllowN(bucketStart, 3) {
					taken.Add(3)
				}
				if i%3 == 0 {
					b.Refund(1)
					taken.Add(-1)
				}
			}
		})
	}
	for i := range 5000 {
		if err := b.SetRateAt(bucketStart, limiter.Rate{Events: float64(1 + i%50), Per: time.Minute, Burst: burst}); err != nil {
			t.Fatal(err)
		}
	}
	group.Wait()
	if sum := float64(taken.Load()) + b.Tokens(bucketStart); sum != burst {
		t.Errorf("%d taken and %v left, together %v, want %d", taken.Load(), b.Tokens(bucketStart), sum, burst)
	}
}

func TestSetRateInThePastOwesNoHour(t *testing.T) {
	b := newBucket(t, limiter.Rate{Events: 10, Per: time.Second, Burst: 5})
	b.AllowN(bucketStart, 5)
	if err := b.SetRateAt(bucketStart.Add(-time.Hour), limiter.Rate{Events: 1, Per: time.Second, Burst: 5}); err != nil {
		t.Fatal(err)
	}
	if b.AllowN(bucketStart.Add(time.Second-time.Millisecond), 1) || !b.AllowN(bucketStart.Add(time.Second+time.Millisecond), 1) {
		t.Error("the new rate does not begin where the clock was")
	}
}
