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

var bucketStart = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

func newBucket(t interface {
	Helper()
	Fatal(...any)
}, r limiter.Rate) *limiter.TokenBucket {
	t.Helper()
	b, err := limiter.NewTokenBucket(r)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// drawRate draws rates from one an hour to 1e9 a second.
func drawRate(t *rapid.T) limiter.Rate {
	return limiter.Rate{
		Events: rapid.Float64Range(0.5, 1000).Draw(t, "events"),
		Per:    rapid.SampledFrom([]time.Duration{time.Microsecond, time.Millisecond, 7 * time.Millisecond, time.Second, time.Minute, time.Hour}).Draw(t, "per"),
		Burst:  rapid.OneOf(rapid.IntRange(1, 20), rapid.IntRange(1, 1_000_000_000)).Draw(t, "burst"),
	}
}

// drawStep draws a time in which some tokens come, or rather many.
func drawStep(t *rapid.T, r limiter.Rate) time.Duration {
	tokens := rapid.Float64Range(0, 3).Draw(t, "tokens")
	if rapid.IntRange(0, 9).Draw(t, "long") == 0 {
		tokens *= float64(r.Burst)
	}
	return time.Duration(min(tokens*float64(r.Per)/r.Events, float64(100*24*time.Hour)))
}

func perNano(r limiter.Rate) float64 { return r.Events / float64(r.Per) }

// A bucket with a float for its tokens and a lock around it, that the test is.
func TestABucketIsWhatItsModelIs(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		b, tokens, now := newBucket(t, r), float64(r.Burst), bucketStart
		for range rapid.IntRange(1, 60).Draw(t, "ops") {
			step := drawStep(t, r)
			now = now.Add(step)
			tokens = min(tokens+perNano(r)*float64(step), float64(r.Burst))
			if rapid.IntRange(0, 5).Draw(t, "op") == 0 {
				r = limiter.Rate{Events: r.Events * rapid.Float64Range(0.9, 1.1).Draw(t, "factor"), Per: r.Per, Burst: rapid.IntRange(1, 2*r.Burst).Draw(t, "newBurst")}
				if b.SetRateAt(now, r) != nil {
					t.Skip("a rate out of bounds")
				}
				tokens = min(tokens, float64(r.Burst))
			}
			n := rapid.IntRange(1, max(1, min(r.Burst, int(tokens)+2))).Draw(t, "n")
			slack := 1e-4 + 1e-12*float64(r.Burst) // what a float does not know
			ok := b.AllowN(now, n)
			if ok && float64(n) > tokens+slack || !ok && float64(n) < tokens-slack {
				t.Fatalf("AllowN(%d) = %t with %v tokens at %v", n, ok, tokens, r)
			}
			if ok {
				tokens -= float64(n)
			}
			if got := b.Tokens(now); math.Abs(got-tokens) > slack {
				t.Fatalf("%v tokens, want %v", got, tokens)
			}
		}
	})
}

// Whatever the clock does, no window has more than the burst and what accrued in it. A
// window is one of the clock's highest time so far: what is read in the past is no time.
func TestNoWindowAdmitsMoreThanBurstAndRate(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		r.Burst = min(r.Burst, 50)
		b, now, highest := newBucket(t, r), bucketStart, bucketStart
		b.AllowN(now, r.Burst) // the first sets the clock
		type admission struct {
			at time.Time
			n  int
		}
		all := []admission{{now, r.Burst}}
		for range rapid.IntRange(1, 80).Draw(t, "ops") {
			switch rapid.IntRange(0, 6).Draw(t, "clock") {
			case 0:
				now = now.Add(-drawStep(t, r))
			case 1:
				now = now.Add(-time.Hour)
			case 2:
				now = now.Add(time.Hour)
			default:
				now = now.Add(drawStep(t, r))
			}
			if now.After(highest) {
				highest = now
			}
			n := rapid.IntRange(1, r.Burst).Draw(t, "n")
			if rapid.IntRange(0, 5).Draw(t, "set") == 0 {
				if err := b.SetRateAt(now, r); err != nil {
					t.Fatal(err)
				}
			}
			if !b.AllowN(now, n) {
				continue
			}
			all = append(all, admission{highest, n})
			sum := 0
			for i := len(all) - 1; i >= 0; i-- {
				sum += all[i].n
				if most := float64(r.Burst) + perNano(r)*float64(highest.Sub(all[i].at)); float64(sum) > most*(1+1e-9)+1e-6 {
					t.Fatalf("%d admitted within %v, at most %v may be at %v, burst %d", sum, highest.Sub(all[i].at), most, r, r.Burst)
				}
			}
		}
	})
}

func TestNextIsTheFirstMomentThatAdmits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := drawRate(t)
		b, now := newBucket(t, r), bucketStart
		for range rapid.IntRange(1, 30).Draw(t, "ops") {
			n := rapid.IntRange(1, r.Burst).Draw(t, "n")
			at, ok := b.Next(now, n)
			if at.Sub(bucketStart) > 70*366*24*time.Hour {
				t.Skip("farther away than what is counted")
			}
			if !ok || at.Before(now) {
				t.Fatalf("Next(%d) = %v, %t at %v", n, at, ok, now)
			}
			if at.After(now) && b.AllowN(at.Add(-1), n) {
				t.Fatalf("admitted a nanosecond before Next")
			}
			if !b.AllowN(at, n) {
				t.Fatalf("not admitted at Next, which is %v from now", at.Sub(now))
			}
			now = at
		}
	})
}

func TestTheRateHoldsInTheLongRun(t *testing.T) {
	for _, r := range []limiter.Rate{
		{Events: 1, Per: time.Hour, Burst: 1},
		{Events: 3, Per: time.Second, Burst: 2},
		{Events: 7, Per: 13 * time.Millisecond, Burst: 1},
		{Events: 1e6, Per: time.Second, Burst: 1000},
		{Events: 3e6, Per: time.Second, Burst: 100_000}, // 333.3… ns each
		{Events: 1e9 / 1.1, Per: time.Second, Burst: 1e9},
	} {
		b, now, n := newBucket(t, r), bucketStart, max(1, r.Burst/2)
		b.AllowN(now, r.Burst)
		const calls = 200_000
		for range calls {
			at, ok := b.Next(now, n)
			if at.Sub(now) > 50*366*24*time.Hour {
				t.Skip("farther away than what is counted")
			}
			if !ok || !b.AllowN(at, n) {
				t.Fatalf("%v: not admitted at Next", r)
			}
			now = at
		}
		got, want := calls*float64(n)/float64(now.Sub(bucketStart)), perNano(r)
		if diff := math.Abs(got/want - 1); diff > 1e-6 {
			t.Errorf("%v, burst %d: off by %v in the long run", r, r.Burst, diff)
		}
	}
}

func TestACallThatCannotEverBeAdmittedIsRefused(t *testing.T) {
	b := newBucket(t, limiter.Rate{Events: 1, Per: time.Second, Burst: 5})
	for _, n := range []int{math.MinInt, -1, 0, 6, math.MaxInt} {
		if b.AllowN(bucketStart, n) {
			t.Errorf("AllowN(%d) with a burst of 5", n)
		}
		if at, ok := b.Next(bucketStart, n); ok {
			t.Errorf("Next(%d) = %v with a burst of 5", n, at)
		}
	}
	if !b.AllowN(bucketStart, 5) {
		t.Error("refusals took tokens")
	}
}

// Two clocks that were read before a lock, and are used after it in the other order, bring
// x/time/rate to admit 9 where 5 is right.
func TestATimeReadEarlierBringsNoTokenTwice(t *testing.T) {
	b := newBucket(t, limiter.Rate{Events: 1, Per: time.Second, Burst: 1})
	admitted := 0
	for i := range 20 {
		at := bucketStart.Add(4 * time.Second)
		if i%2 == 0 {
			at = bucketStart
		}
		if b.AllowN(at, 1) {
			admitted++
		}
	}
	if admitted > 5 || admitted != 2 {
		t.Errorf("%d admitted in 4 s at 1/s and a burst of 1, want 2: one at each time", admitted)
	}
}

func TestAnHourBackBringsNothingAndAnHourAheadABurst(t *testing.T) {
	r := limiter.Rate{Events: 10, Per: time.Second, Burst: 5}
	b, now := newBucket(t, r), bucketStart
	if !b.AllowN(now, 5) {
		t.Fatal("the bucket was not full")
	}
	for _, back := range []time.Duration{time.Hour, time.Hour - time.Second, time.Nanosecond} {
		if b.AllowN(now.Add(-back), 1) {
			t.Errorf("admitted %v before", back)
		}
		if err := b.SetRateAt(now.Add(-back), r); err != nil { // nor does this forget where the clock was
			t.Fatal(err)
		}
	}
	if b.AllowN(now.Add(99*time.Millisecond), 1) || !b.AllowN(now.Add(101*time.Millisecond), 1) {
		t.Error("does not go on where it was when the clock is back")
	}
	if ahead := now.Add(time.Hour); !b.AllowN(ahead, 5) || b.AllowN(ahead, 1) {
		t.Error("an hour brings a burst, and no more")
	}
}

func TestTimesFarAwayAreHarmless(t *testing.T) {
	for _, r := range []limiter.Rate{{Events: 1e9, Per: time.Second, Burst: 1e9}, {Events: 1, Per: 366 * 24 * time.Hour, Burst: 1}} {
		b := newBucket(t, r)
		far := []time.Time{{}, time.Unix(0, 0), bucketStart, time.Unix(1<<40, 0), time.Unix(1<<60, 0), {}, bucketStart}
		for _, at := range far {
			b.AllowN(at, 1)
			b.Next(at, 1)
			if tokens := b.Tokens(at); tokens > float64(r.Burst) {
				t.Errorf("%v tokens at %v", tokens, at)
			}
			if err := b.SetRateAt(at, r); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestManyAtOnceGetNoMoreThanOne(t *testing.T) {
	r := limiter.Rate{Events: 1e6, Per: time.Second, Burst: 100}
	b := newBucket(t, r)
	var admitted atomic.Int64
	var group sync.WaitGroup
	start := make(chan struct{})
	for g := range 8 {
		group.Go(func() {
			<-start
			for i := range 5000 {
				// All go through the same 5 ms, each a little out of step.
				if b.AllowN(bucketStart.Add(time.Duration(i+g*13%50)*time.Microsecond), 1) {
					admitted.Add(1)
				}
				if g == 0 && i%100 == 0 {
					if err := b.SetRateAt(bucketStart.Add(time.Duration(i)*time.Microsecond), r); err != nil {
						t.Error(err)
					}
				}
				if g == 1 && i%10 == 0 && b.AllowN(bucketStart.Add(time.Duration(i)*time.Microsecond), 2) {
					b.Refund(2)
				}
			}
		})
	}
	close(start)
	group.Wait()
	if got := admitted.Load(); got > 100+5050 {
		t.Errorf("%d admitted in 5.05 ms at 1e6/s and a burst of 100", got)
	}
}

func TestAllowAllocatesNothing(t *testing.T) {
	b := newBucket(t, limiter.Rate{Events: 1e9, Per: time.Second, Burst: 1000})
	if n := testing.AllocsPerRun(1000, func() { b.Allow() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkTokenBucketAllow(bench *testing.B) {
	for _, bb := range []struct {
		name string
		rate limiter.Rate
	}{
		{"admitted", limiter.Rate{Events: 1e9, Per: time.Second, Burst: 1e9}},
		{"mostly refused", limiter.Rate{Events: 1e6, Per: time.Second, Burst: 1000}},
	} {
		bench.Run(bb.name, func(bench *testing.B) {
			b, err := limiter.NewTokenBucket(bb.rate)
			if err != nil {
				bench.Fatal(err)
			}
			bench.ReportAllocs()
			bench.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					b.Allow()
				}
			})
		})
	}
}

func TestATokenIsThereToTheNanosecond(t *testing.T) {
	for _, tt := range []struct {
		rate  limiter.Rate
		every time.Duration
	}{
		{limiter.Rate{Events: 1e6, Per: time.Second, Burst: 1}, time.Microsecond},
		{limiter.Rate{Events: 100, Per: time.Second, Burst: 1}, 10 * time.Millisecond},
		{limiter.Rate{Events: 1, Per: time.Second, Burst: 1}, time.Second},
		{limiter.Rate{Events: 3, Per: time.Minute, Burst: 1}, 20 * time.Second},
		{limiter.Rate{Events: 0.25, Per: 7 * time.Second, Burst: 1}, 28 * time.Second},
		{limiter.Rate{Events: 1, Per: time.Hour, Burst: 1}, time.Hour},
	} {
		b, now := newBucket(t, tt.rate), bucketStart
		for i := range 1000 {
			if !b.AllowN(now, 1) || b.AllowN(now.Add(tt.every-1), 1) {
				t.Errorf("%v: token %d comes too late, or the next too early", tt.rate, i)
				break
			}
			now = now.Add(tt.every)
			if i%3 == 0 {
				now = now.Add(time.Duration(i) * 1234567) // full since, at no round time
			}
		}
	}
}
