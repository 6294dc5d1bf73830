package flow

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"pgregory.net/rapid"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type fataler interface {
	Helper()
	Fatal(...any)
}

func newPool(t fataler, c PoolConfig) *Pool {
	t.Helper()
	p, err := NewPool(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sleeps returns a job that takes d.
func sleeps(d time.Duration) func(context.Context) {
	return func(context.Context) { time.Sleep(d) }
}

type closer interface{ Close(context.Context) error }

func closed(t *testing.T, c closer) {
	t.Helper()
	if err := c.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

// blocked returns a job that runs until free is called.
func blocked() (job func(context.Context), free func()) {
	gate := make(chan struct{})
	return func(context.Context) { <-gate }, func() { close(gate) }
}

func TestSubmitBlocksWhileTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1, Queue: 2})
		began := time.Now()
		const s = time.Second
		for i, want := range []time.Duration{0, 0, 0, s, 2 * s, 3 * s} {
			if err := p.Submit(sleeps(time.Second)); err != nil {
				t.Fatal(err)
			}
			if got := time.Since(began); got != want {
				t.Errorf("job %d was accepted after %v, want %v", i, got, want)
			}
			synctest.Wait()
		}
		if got := p.Stats(); got.Queued != 2 || got.InFlight != 1 || got.Wait.Count() != 6 || got.Wait.Sum != 3*s {
			t.Errorf("got %+v", got)
		}
		closed(t, p)
	})
}

func TestTrySubmitIsFalseWhenTheQueueIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1, Queue: 2})
		job, free := blocked()
		for i, want := range []bool{true, true, true, false, false} {
			if got := p.TrySubmit(job); got != want {
				t.Errorf("job %d: %t, want %t", i, got, want)
			}
			synctest.Wait()
		}
		free()
		closed(t, p)
		if s := p.Stats(); s.Executed != 3 || s.Rejected != 2 || s.Submitted != 5 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestSubmitCtxWaitsAsLongAsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1, Queue: 1})
		for range 2 {
			if err := p.SubmitCtx(t.Context(), sleeps(time.Minute)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		began := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		for _, want := range []time.Duration{time.Second, time.Second} { // the second time it has ended already
			if err := p.SubmitCtx(ctx, sleeps(0)); err != context.DeadlineExceeded {
				t.Errorf("got %v", err)
			}
			if got := time.Since(began); got != want {
				t.Errorf("returned after %v, want %v", got, want)
			}
		}
		closed(t, p)
		if s := p.Stats(); s.Cancelled != 2 || s.Executed != 2 || s.Waiting != 0 {
			t.Errorf("got %+v", s)
		}
	})
}

func TestSubmittersAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1, Queue: 1})
		job, free := blocked()
		var order []int
		var wg sync.WaitGroup
		p.Submit(job)
		for i := range 10 {
			synctest.Wait()
			wg.Go(func() { p.Submit(func(context.Context) { order = append(order, i) }) })
		}
		free()
		wg.Wait()
		closed(t, p)
		if !slices.IsSorted(order) || len(order) != 10 {
			t.Errorf("got %v", order)
		}
	})
}

func TestAPanicCostsNoWorker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		p := newPool(t, PoolConfig{Workers: 2, Queue: 20, OnPanic: func(v any, stack []byte) {
			told.Add(1)
			if v != "ouch" || !strings.Contains(string(stack), "TestAPanicCostsNoWorker") {
				t.Errorf("got %v and %s", v, stack)
			}
		}})
		for range 5 {
			p.Submit(func(context.Context) { panic("ouch") })
			p.Submit(func(context.Context) { runtime.Goexit() })
		}
		synctest.Wait()
		began := time.Now()
		for range 4 {
			p.Submit(sleeps(time.Second))
		}
		closed(t, p)
		if got := time.Since(began); got != 2*time.Second {
			t.Errorf("four jobs of 1s took %v, want 2s: two workers", got)
		}
		if s := p.Stats(); s.Panicked != 10 || s.Executed != 14 || s.InFlight != 0 || told.Load() != 5 {
			t.Errorf("got %+v, told %d", s, told.Load())
		}
	})
}

func TestANilJobIsRefused(t *testing.T) {
	p := newPool(t, PoolConfig{})
	if err := p.Submit(nil); err != ErrNoJob {
		t.Errorf("Submit is %v", err)
	}
	if p.TrySubmit(nil) {
		t.Error("TrySubmit accepted nil")
	}
	closed(t, p)
	if s := p.Stats(); s.Rejected != 2 || s.Panicked != 0 {
		t.Errorf("got %+v", s)
	}
}

func TestPoolConfigSaysAllThatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		c    PoolConfig
		want string
	}{
		{PoolConfig{Workers: -1, Queue: -2}, "flow: NewPool: PoolConfig.Workers is -1: must be from 0 to 65536\nPoolConfig.Queue is -2: must be from 0 to 16777216"},
		{PoolConfig{Queue: 1 << 60}, "flow: NewPool: PoolConfig.Queue is 1152921504606846976: must be from 0 to 16777216"},
		{PoolConfig{Queue: 8, ShedAbove: 8, ResumeBelow: 4}, "flow: NewPool: PoolConfig.ShedAbove is 8: must be less than Queue, which is 8"},
		{PoolConfig{ShedAbove: 8}, "flow: NewPool: PoolConfig.ResumeBelow is 0: must be from 1 to 8"},
		{PoolConfig{ShedAbove: 8, ResumeBelow: 9}, "flow: NewPool: PoolConfig.ResumeBelow is 9: must be from 1 to 8"},
	} {
		p, err := NewPool(tt.c)
		if p != nil || err == nil || err.Error() != tt.want {
			t.Errorf("%+v: %v, want %s", tt.c, err, tt.want)
		}
	}
}

// Submitters, their contexts and Close at once: each submit ends once, what it says is
// what happens, and nothing panics.
func TestEverySubmitIsExecutedRejectedCancelledOrDroppedOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := PoolConfig{
			Workers: rapid.IntRange(1, 4).Draw(t, "workers"),
			Queue:   rapid.IntRange(2, 8).Draw(t, "queue"),
		}
		if rapid.Bool().Draw(t, "sheds") {
			c.ShedAbove = rapid.IntRange(1, c.Queue-1).Draw(t, "above")
			c.ResumeBelow = rapid.IntRange(1, c.ShedAbove).Draw(t, "below")
		}
		submitters := rapid.IntRange(1, 6).Draw(t, "submitters")
		closeAfter := rapid.IntRange(0, 300).Draw(t, "closeAfter")
		impatient := rapid.Bool().Draw(t, "impatient")
		p := newPool(t, c)
		var ran, said, asked atomic.Int64
		job := func(context.Context) { ran.Add(1) }
		short, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for i := range submitters {
			wg.Go(func() {
				for range 100 {
					if asked.Add(1) == int64(closeAfter) {
						cancel()
					}
					var err error
					switch i % 3 {
					case 0:
						err = p.Submit(job)
					case 1:
						err = p.SubmitCtx(short, job)
					case 2:
						if !p.TrySubmit(job) {
							err = ErrShed
						}
					}
					if err == nil {
						said.Add(1)
					}
				}
			})
		}
		if closeAfter > 0 {
			for int(asked.Load()) < min(closeAfter, 100*submitters) {
				runtime.Gosched()
			}
		}
		cancel()
		if impatient {
			p.Close(short)
		}
		if err := p.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		atClose := ran.Load()
		wg.Wait()
		s := p.Stats()
		if s.Submitted != uint64(asked.Load()) || s.Accepted != uint64(said.Load()) || s.Executed != uint64(ran.Load()) {
			t.Fatalf("asked %d, accepted %d, ran %d: %+v", asked.Load(), said.Load(), ran.Load(), s)
		}
		if s.Submitted != s.Accepted+s.Rejected+s.Cancelled || s.Accepted != s.Executed+s.Dropped {
			t.Fatalf("does not add up: %+v", s)
		}
		if !impatient && s.Dropped != 0 || s.Queued+s.InFlight+s.Waiting != 0 || ran.Load() != atClose {
			t.Fatalf("ran %d at Close, %d later: %+v", atClose, ran.Load(), s)
		}
	})
}

func TestStatsNeverFallAndStayInBounds(t *testing.T) {
	p := newPool(t, PoolConfig{Workers: 2, Queue: 4})
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					p.TrySubmit(nothing)
					p.Submit(nothing)
				}
			}
		})
	}
	var last PoolStats
	for range 2000 {
		s := p.Stats()
		if s.InFlight < 0 || s.InFlight > 2 || s.Queued > 4 || s.Submitted < s.Accepted+s.Rejected+s.Cancelled {
			t.Fatalf("got %+v", s)
		}
		for i, fell := range []bool{s.Submitted < last.Submitted, s.Accepted < last.Accepted, s.Rejected < last.Rejected, s.Executed < last.Executed, s.Wait.Count() < last.Wait.Count()} {
			if fell {
				t.Fatalf("counter %d fell: %+v after %+v", i, s, last)
			}
		}
		last = s
	}
	close(stop)
	wg.Wait()
	closed(t, p)
}

func TestHistogramPutsADurationIntoOneBucket(t *testing.T) {
	for _, tt := range []struct {
		d    time.Duration
		want int
	}{
		{-1, 0}, {0, 0}, {10 * time.Microsecond, 0}, {10*time.Microsecond + 1, 1},
		{time.Millisecond, 2}, {time.Minute, len(waitBounds) - 1}, {time.Hour, len(waitBounds)},
	} {
		var h histogram
		h.observe(tt.d)
		s := h.snapshot(0)
		if s.Counts[tt.want] != 1 || s.Count() != 1 || s.Sum != max(0, tt.d) {
			t.Errorf("%v: %v", tt.d, s)
		}
	}
	if !slices.IsSorted(waitBounds[:]) {
		t.Error(fmt.Sprint("bounds are not in order: ", waitBounds))
	}
}
