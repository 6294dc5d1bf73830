package tenants

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDismissLetsSoManyGoAndInterruptsNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues(t, Config{})
		var here, gone, done atomic.Int64
		var workers sync.WaitGroup
		work := func() {
			here.Add(1)
			defer here.Add(-1)
			for {
				j, err := q.Next(t.Context())
				if err != nil {
					if errors.Is(err, ErrDismissed) {
						gone.Add(1)
					}
					return
				}
				for more := true; more; {
					time.Sleep(time.Second)
					done.Add(1)
					j, more = q.DoneNext(time.Now(), j)
				}
			}
		}
		for range 5 {
			workers.Go(work)
		}
		synctest.Wait()
		if left := q.Dismiss(2); left != 0 {
			t.Errorf("%d were left to go", left)
		}
		synctest.Wait()
		if here.Load() != 3 || gone.Load() != 2 {
			t.Errorf("of idle workers %d are here and %d gone, want 3 and 2", here.Load(), gone.Load())
		}
		for i := range 30 {
			if err := q.Push(fmt.Sprint(i%4), "", 0, 1); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		q.Dismiss(2) // all three are at work
		time.Sleep(500 * time.Millisecond)
		if here.Load() != 3 || done.Load() != 0 {
			t.Errorf("%d are here, %d done, before any is done", here.Load(), done.Load())
		}
		time.Sleep(time.Second)
		if here.Load() != 1 || done.Load() != 3 {
			t.Errorf("%d are here, %d done; want 1 and 3", here.Load(), done.Load())
		}
		q.Dismiss(3)
		if left := q.Dismiss(0); left != 3 { // they stay after all
			t.Errorf("%d were left to go, want 3", left)
		}
		time.Sleep(time.Minute)
		if done.Load() != 30 || here.Load() != 1 {
			t.Errorf("%d are done by %d, want 30 by 1", done.Load(), here.Load())
		}
		q.Close()
		workers.Wait()
	})
}

// Whatever comes between, an item never waits while a worker is there that is to stay.
func TestNoItemIsLeftBehindWhileWorkersComeAndGo(t *testing.T) {
	q := newQueues(t, Config{Messages: 1 << 20, Default: Policy{Queue: 1 << 20}})
	const items = 20_000
	var done atomic.Int64
	var workers sync.WaitGroup
	all := make(chan struct{})
	work := func() {
		for {
			j, err := q.Next(t.Context())
			if err != nil {
				return
			}
			for more := true; more; {
				if done.Add(1) == items {
					close(all)
				}
				j, more = q.DoneNext(time.Now(), j)
			}
		}
	}
	workers.Go(work)
	workers.Go(func() {
		for i := range items {
			if err := q.Push(fmt.Sprint(i%50), "", i, 1); err != nil {
				t.Error(err)
			}
		}
	})
	size := 1
	for i := 0; done.Load() < items; i++ {
		want := 1 + i%8
		here := size + q.Dismiss(0)
		for range want - here {
			workers.Go(work)
		}
		q.Dismiss(here - want)
		size = want
	}
	<-all
	q.Close()
	workers.Wait()
}

func TestRefreshAsksAgainForOneTenant(t *testing.T) {
	weights := map[string]float64{"a": 1, "b": 1, "c": 1}
	q := newQueues(t, Config{PolicyFor: func(tenant string, p *Policy) { p.Weight = weights[tenant] }})
	for name := range weights {
		if err := q.Push(name, "", 0, 1); err != nil {
			t.Fatal(err)
		}
		weights[name] = 5
	}
	if err := q.SetPolicy("c", Policy{Weight: 9}); err != nil {
		t.Fatal(err)
	}
	q.Refresh("a")
	q.Refresh("c")       // has one of its own
	q.Refresh("unknown") // and stays so
	for name, want := range map[string]float64{"a": 5, "b": 1, "c": 9} {
		if st, _ := q.Tenant(name); st.Weight != want {
			t.Errorf("%s weighs %v, want %v", name, st.Weight, want)
		}
	}
	if _, known := q.Tenant("unknown"); known {
		t.Error("a tenant became known")
	}
	q.ClearPolicy("c")
	if st, _ := q.Tenant("c"); st.Weight != 5 {
		t.Errorf("c weighs %v", st.Weight)
	}
}
