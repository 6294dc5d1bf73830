package fakedownstream

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

	"pgregory.net/rapid"
)

func newDownstream(t *testing.T, c Config) *Downstream {
	t.Helper()
	d, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func fault(t *testing.T, d *Downstream, f Fault) {
	t.Helper()
	if err := d.SetFault(f); err != nil {
		t.Fatal(err)
	}
}

// offer calls d at a rate, for so long, and returns when every caller has its answer or
// has gone away after patience.
func offer(t *testing.T, d *Downstream, perSecond float64, length, patience time.Duration) {
	t.Helper()
	var wg sync.WaitGroup
	gap := time.Duration(float64(time.Second) / perSecond)
	for end := time.Now().Add(length); time.Now().Before(end); time.Sleep(gap) {
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_ = d.Call(ctx)
		})
	}
	wg.Wait()
}

func TestWhatIsServedIsTheCapacityHoweverMuchIsOffered(t *testing.T) {
	for _, tt := range []struct {
		name        string
		config      Config
		fault       Fault
		offered     float64 // per second
		least, most float64
	}{
		{"a quarter of it", Config{}, Fault{}, 60, 59, 61},
		{"ten times of it", Config{}, Fault{}, 2400, 233, 247},
		{"exponential times", Config{Shape: 1}, Fault{}, 2400, 228, 252},
		{"twice as slow", Config{}, Fault{Kind: Slow, Factor: 2}, 2400, 116, 124},
		{"twice as fast", Config{}, Fault{Kind: Slow, Factor: 0.5}, 2400, 470, 490},
		{"thrashing with ten waiting per worker", Config{Queue: 120, Thrash: 0.1}, Fault{}, 2400, 116, 124},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDownstream(t, tt.config)
				fault(t, d, tt.fault)
				const length = 30 * time.Second
				offer(t, d, tt.offered, 2*time.Second, time.Hour) // until the queue is what it will be
				before := d.Stats()
				done := make(chan Stats)
				go func() {
					time.Sleep(length)
					done <- d.Stats()
				}()
				offer(t, d, tt.offered, length, time.Hour)
				got := float64((<-done).Served-before.Served) / length.Seconds()
				if got < tt.least || got > tt.most {
					t.Errorf("served %.1f/s, want %v to %v", got, tt.least, tt.most)
				}
			})
		})
	}
}

func TestEachCallIsCountedOnceWhateverHappens(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		config := Config{
			Workers: rapid.IntRange(1, 5).Draw(rt, "workers"),
			Queue:   rapid.IntRange(1, 20).Draw(rt, "queue"),
			Thrash:  rapid.Float64Range(0, 1).Draw(rt, "thrash"),
			Seed:    rapid.Uint64().Draw(rt, "seed"),
		}
		faults := rapid.SliceOf(rapid.SampledFrom([]Fault{
			{}, {Kind: Slow, Factor: 3}, {Kind: Error}, {Kind: Dead}, {Kind: Overload}, {Kind: Hang},
			{Kind: Hang, For: 70 * time.Millisecond}, {Kind: Slow, Factor: 0.1, For: time.Second},
		})).Draw(rt, "faults")
		patience := time.Duration(rapid.IntRange(1, 400).Draw(rt, "patience")) * time.Millisecond
		rate := rapid.Float64Range(20, 2000).Draw(rt, "rate")
		synctest.Test(t, func(t *testing.T) {
			d := newDownstream(t, config)
			for _, f := range faults {
				fault(t, d, f)
				offer(t, d, rate, 300*time.Millisecond, patience)
				check(t, d.Stats())
			}
			fault(t, d, Fault{})
			time.Sleep(time.Hour) // all that was begun is over
			s := d.Stats()
			check(t, s)
			if s.Inside != 0 || s.Waiting != 0 || s.hanging != 0 {
				t.Errorf("an hour later %+v", s)
			}
		})
	})
}

func check(t *testing.T, s Stats) {
	t.Helper()
	if sum := s.Served + s.Abandoned + s.Refused + s.Failed + uint64(s.Inside); sum != s.Offered || s.Good > s.Served {
		t.Errorf("the counts do not add up: %+v", s)
	}
}

func TestCallsAreServedInTheOrderTheyCame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDownstream(t, Config{Workers: 1})
		var mu sync.Mutex
		var order []int
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				if err := d.Call(t.Context()); err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				order = append(order, i)
			})
			synctest.Wait()
		}
		wg.Wait()
		if !slices.IsSorted(order) {
			t.Errorf("served as %v", order)
		}
	})
}

func TestAFullQueueRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDownstream(t, Config{Workers: 2, Queue: 3})
		refused := 0
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() {
				if err := d.Call(t.Context()); errors.Is(err, ErrOverloaded) {
					refused++
				} else if err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		if s := d.Stats(); refused != 5 || s.Refused != 5 || s.Served != 5 || s.Peak != 5 {
			t.Errorf("refused %d, counts %+v", refused, s)
		}
	})
}

func TestWorkForACallerWhoLeftGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDownstream(t, Config{Workers: 1, Shape: 1000})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := d.Call(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Call returns %v", err)
		}
		begin := time.Now()
		if err := d.Call(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took < 80*time.Millisecond {
			t.Errorf("the next took %v: the worker was free at once", took)
		}
		if s := d.Stats(); s.Abandoned != 1 || s.Served != 1 {
			t.Errorf("counts are %+v", s)
		}
	})
}

func TestFaultsHoldForWhatArrivesWhileTheyLast(t *testing.T) {
	for _, tt := range []struct {
		fault Fault
		want  error
	}{
		{Fault{}, nil}, {Fault{Kind: None}, nil}, {Fault{Kind: Slow, Factor: 2}, nil},
		{Fault{Kind: Error}, ErrFailed}, {Fault{Kind: Dead}, ErrDead}, {Fault{Kind: Overload}, ErrOverloaded},
		{Fault{Kind: Hang}, context.DeadlineExceeded},
	} {
		synctest.Test(t, func(t *testing.T) {
			d := newDownstream(t, Config{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			inside := make(chan error, 1)
			go func() { inside <- d.Call(ctx) }()
			synctest.Wait()
			fault(t, d, tt.fault)
			if err := d.Call(ctx); !errors.Is(err, tt.want) {
				t.Errorf("%v: Call returns %v, want %v", tt.fault, err, tt.want)
			}
			fault(t, d, Fault{})
			if err := d.Call(t.Context()); err != nil {
				t.Errorf("after %v: %v", tt.fault, err)
			}
			if err := <-inside; err != nil {
				t.Errorf("what was inside before %v: %v", tt.fault, err)
			}
		})
	}
}

func TestAFaultEndsByItselfAfterItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDownstream(t, Config{})
		fault(t, d, Fault{Kind: Error, For: time.Second})
		time.Sleep(time.Second - time.Nanosecond)
		if err := d.Call(t.Context()); !errors.Is(err, ErrFailed) {
			t.Errorf("just before its end: %v", err)
		}
		time.Sleep(time.Nanosecond)
		if err := d.Call(t.Context()); err != nil || d.Fault().Kind != None {
			t.Errorf("at its end: %v, %v", err, d.Fault())
		}
	})
}

func TestWhatHangsEndsWithTheFault(t *testing.T) {
	for _, tt := range []struct {
		name string
		next *Fault
		want time.Duration
	}{
		{"by itself", nil, time.Minute},
		{"when it begins anew", &Fault{Kind: Hang}, 0},
		{"when all is good", &Fault{}, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newDownstream(t, Config{})
				fault(t, d, Fault{Kind: Hang, For: time.Minute})
				begin, ended := time.Now(), make(chan error, 1)
				go func() { ended <- d.Call(t.Context()) }()
				synctest.Wait()
				if s := d.Stats(); s.Inside != 1 || s.Fault != "hang" {
					t.Errorf("counts are %+v", s)
				}
				if tt.next != nil {
					fault(t, d, *tt.next)
				}
				if err := <-ended; !errors.Is(err, ErrDead) || time.Since(begin) != tt.want {
					t.Errorf("Call returns %v after %v", err, time.Since(begin))
				}
			})
		})
	}
}

func TestGoodIsWhatCameWithinTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDownstream(t, Config{Workers: 1, Shape: 1000, Service: 100 * time.Millisecond, Deadline: 350 * time.Millisecond})
		var wg sync.WaitGroup
		for range 6 {
			wg.Go(func() { _ = d.Call(t.Context()) })
		}
		wg.Wait()
		if s := d.Stats(); s.Served != 6 || s.Good != 3 {
			t.Errorf("counts are %+v, want 3 of 6 good", s)
		}
	})
}

func TestTheSameSeedServesAlike(t *testing.T) {
	took := func(seed uint64) (all []time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			d := newDownstream(t, Config{Seed: seed})
			for range 10 {
				begin := time.Now()
				if err := d.Call(t.Context()); err != nil {
					t.Error(err)
				}
				all = append(all, time.Since(begin))
			}
		})
		return all
	}
	if a, b := took(7), took(7); !slices.Equal(a, b) {
		t.Errorf("%v\n%v", a, b)
	}
	if a, b := took(7), took(8); slices.Equal(a, b) {
		t.Errorf("two seeds, one result: %v", a)
	}
}

func TestErlangHasItsMeanAndSpread(t *testing.T) {
	for _, k := range []int{1, 4, 100} {
		r := rand.New(rand.NewPCG(1, 2))
		const n = 100_000
		sum, squares := 0.0, 0.0
		for range n {
			x := erlang(r, k)
			sum, squares = sum+x, squares+x*x
		}
		mean := sum / n
		variance := squares/n - mean*mean
		if want := 1 / float64(k); mean < 0.99 || mean > 1.01 || variance < 0.95*want || variance > 1.05*want {
			t.Errorf("k %d: mean %.3f, variance %.4f, want 1 and %.4f", k, mean, variance, want)
		}
	}
}

func TestMistakesNameFieldValueAndBound(t *testing.T) {
	_, err := New(Config{Workers: -1, Service: -1, Shape: 2000, Queue: -3, Thrash: -0.5, Deadline: -1, RetryAfter: 2 * time.Hour})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"Config.Workers is -1: must be from 1 to 65536", "Config.Service is -1ns: must be from 1µs to 1h0m0s",
		"Config.Shape is 2000", "Config.Queue is -3", "Config.Thrash is -0.5: must be from 0 to 100",
		"Config.Deadline is -1ns", "Config.RetryAfter is 2h0m0s",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error lacks %q:\n%v", want, err)
		}
	}
	d := newDownstream(t, Config{})
	for _, tt := range []struct {
		fault Fault
		want  string
	}{
		{Fault{Kind: "sleepy"}, `Fault.Kind is "sleepy": must be one of none, slow, error, dead, overload, hang`},
		{Fault{Kind: Slow}, "Fault.Factor is 0: must be from 0.001 to 1000"},
		{Fault{Kind: Error, Factor: 2}, `Fault.Factor is 2: must be 0, it is for "slow" only`},
		{Fault{Kind: Error, For: -1}, "Fault.For is -1ns"},
	} {
		if err := d.SetFault(tt.fault); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: %v, want %q", tt.fault, err, tt.want)
		}
	}
}
