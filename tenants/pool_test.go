package tenants

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newPool(t *testing.T, c PoolConfig) *Pool {
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

func closed(t *testing.T, p *Pool) {
	t.Helper()
	if err := p.Close(context.Background()); err != nil {
		t.Error(err)
	}
}

func TestAFloodBlocksTheSubmitOfItsOwnTenantAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 2})
		flood, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				for p.Submit(flood, "flood", sleeps(10*time.Millisecond)) == nil {
				}
			})
		}
		synctest.Wait()
		for range 100 {
			began, ran := time.Now(), make(chan struct{})
			if err := p.Submit(t.Context(), "quiet", func(context.Context) { close(ran) }); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); took != 0 {
				t.Errorf("the quiet tenant's Submit took %v", took)
			}
			<-ran
			if took := time.Since(began); took > 10*time.Millisecond {
				t.Errorf("the quiet tenant waited %v, want one service time at most", took)
			}
			time.Sleep(7 * time.Millisecond)
		}
		cancel()
		wg.Wait()
		closed(t, p)
	})
}

func TestSubmittersOfOneTenantAreServedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1, Queue: 1})
		var order []int
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				if err := p.Submit(t.Context(), "a", func(context.Context) {
					order = append(order, i)
					time.Sleep(time.Millisecond)
				}); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		wg.Wait()
		closed(t, p)
		for i, v := range order {
			if i != v {
				t.Fatalf("ran in the order %v", order)
			}
		}
	})
}

func TestTheTotalBoundOfAPoolLosesNoWakeUp(t *testing.T) {
	p := newPool(t, PoolConfig{Workers: 2, Queue: 2, Messages: 3})
	var ran atomic.Int32
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 500 {
				if err := p.Submit(t.Context(), fmt.Sprint(i%4), func(context.Context) { ran.Add(1) }); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	closed(t, p)
	if n := ran.Load(); n != 4000 {
		t.Errorf("%d jobs ran, want 4000", n)
	}
}

func TestRoomInThePoolIsToldToOtherTenants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1, Messages: 1})
		began := time.Now()
		for range 2 {
			p.Submit(t.Context(), "a", sleeps(time.Second))
			synctest.Wait()
		}
		if err := p.Submit(t.Context(), "b", sleeps(0)); err != nil || time.Since(began) != time.Second {
			t.Errorf("Submit took %v, %v, want 1s", time.Since(began), err)
		}
		closed(t, p)
	})
}

func TestASubmitterThatGivesUpLetsTheNextTry(t *testing.T) {
	l := lines{byTenant: map[string][]*submitter{}}
	a, b, c := l.join("a"), l.join("b"), l.join("b")
	<-a.room
	<-b.room
	l.wantAny(a)
	l.wantAny(b)
	l.room("other")
	<-a.room // and then gives up
	l.leave(a)
	select {
	case <-b.room:
	default:
		t.Error("who wants room in the pool is not told")
	}
	l.leave(b)
	select {
	case <-c.room:
	default:
		t.Error("the next in line is not told")
	}
	if l.leave(c); l.waiting.Load() != 0 || len(l.byTenant) != 0 || len(l.any) != 0 {
		t.Errorf("left behind: %+v", &l)
	}
}

func TestTrySubmitCountsWhatItRefuses(t *testing.T) {
	p := newPool(t, PoolConfig{Workers: 1, Queue: 2, PolicyFor: func(_ string, p *Policy) { p.Paused = true }})
	for i := range 3 {
		if ok := p.TrySubmit("a", sleeps(0)); ok != (i < 2) {
			t.Errorf("TrySubmit %d is %v", i, ok)
		}
	}
	for name, st := range p.All() {
		if name != "a" || st.Shed != 1 || st.Queued != 2 {
			t.Errorf("%s is %+v", name, st)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "2 queued jobs dropped") {
		t.Errorf("Close is %v", err)
	}
}

func TestSubmitEndsWithItsContextAndWithClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1, Queue: 1})
		for range 2 {
			p.Submit(t.Context(), "a", sleeps(time.Minute))
			synctest.Wait()
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := p.Submit(ctx, "a", sleeps(0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Submit is %v, want DeadlineExceeded", err)
		}
		if err := p.Submit(ctx, "b", sleeps(0)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Submit with an ended context is %v", err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := p.Submit(t.Context(), "a", sleeps(0)); err != ErrClosed {
				t.Errorf("Submit is %v, want ErrClosed", err)
			}
		})
		synctest.Wait()
		closed(t, p)
		wg.Wait()
		if err := p.Submit(t.Context(), "c", sleeps(0)); err != ErrClosed || p.TrySubmit("c", sleeps(0)) {
			t.Errorf("after Close Submit is %v", err)
		}
	})
}

func TestCloseWaitsForWhatIsQueuedAndRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 2})
		var ran atomic.Int32
		for range 10 {
			p.Submit(t.Context(), "a", func(context.Context) { time.Sleep(time.Second); ran.Add(1) })
		}
		began := time.Now()
		closed(t, p)
		if took := time.Since(began); ran.Load() != 10 || took != 5*time.Second {
			t.Errorf("%d ran in %v, want 10 in 5s", ran.Load(), took)
		}
		closed(t, p)
	})
}

func TestCloseGivesUpWithItsContextAndStillWaitsForWorkers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1})
		var cause error
		p.Submit(t.Context(), "a", func(ctx context.Context) {
			<-ctx.Done()
			cause = context.Cause(ctx)
			time.Sleep(time.Second)
		})
		p.Submit(t.Context(), "a", sleeps(time.Hour))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		err := p.Close(ctx)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 queued jobs dropped") {
			t.Errorf("Close is %v", err)
		}
		if took := time.Since(began); took != 61*time.Second || cause != ErrClosed {
			t.Errorf("closed after %v, cause %v, want 61s and ErrClosed", took, cause)
		}
		for _, st := range p.All() {
			if st.Returned != 1 || st.Finished != 1 {
				t.Errorf("got %+v", st)
			}
		}
	})
}

func TestAJobThatPanicsOrExitsCostsNoWorker(t *testing.T) {
	var mu sync.Mutex
	var said []string
	p := newPool(t, PoolConfig{Workers: 1, OnPanic: func(tenant string, v any, stack []byte) {
		mu.Lock()
		defer mu.Unlock()
		said = append(said, fmt.Sprint(tenant, " ", v, " ", strings.Contains(string(stack), "pool_test.go")))
	}})
	ran := make(chan struct{})
	p.Submit(t.Context(), "a", func(context.Context) { panic("oh") })
	p.Submit(t.Context(), "a", func(context.Context) { runtime.Goexit() })
	p.Submit(t.Context(), "a", func(context.Context) { close(ran) })
	<-ran
	closed(t, p)
	if fmt.Sprint(said) != "[a oh true]" {
		t.Errorf("OnPanic was told %q", said)
	}
	for _, st := range p.All() {
		if st.Finished != 3 || st.InFlight != 0 {
			t.Errorf("got %+v", st)
		}
	}
}

func TestAllThatIsWrongWithAPoolIsSaidAtOnce(t *testing.T) {
	_, err := NewPool(PoolConfig{Workers: -1, Queue: -2, Messages: -3, Default: Policy{Weight: -4}})
	for _, want := range []string{"PoolConfig.Workers is -1", "PoolConfig.Queue is -2", "PoolConfig.Messages is -3", "Policy.Weight is -4"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not say %q", err, want)
		}
	}
	if _, err := NewPool(PoolConfig{Default: Policy{Queue: 1}}); err == nil {
		t.Error("no error for a queue given twice")
	}
}
