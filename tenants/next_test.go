package tenants

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestNextWaitsUntilSomethingMayRun(t *testing.T) {
	for name, c := range map[string]struct{ before, wake func(q *Queues[int]) }{
		"push": {
			func(q *Queues[int]) {},
			func(q *Queues[int]) { q.Push("a", "c", 1, 0) },
		},
		"the class opens": {
			func(q *Queues[int]) { q.SetOpen("c", false); q.Push("a", "c", 1, 0) },
			func(q *Queues[int]) { q.SetOpen("c", true) },
		},
		"the pause ends": {
			func(q *Queues[int]) { q.SetPolicy("a", Policy{Paused: true}); q.Push("a", "c", 1, 0) },
			func(q *Queues[int]) { q.ClearPolicy("a") },
		},
		"the policy of all changes": {
			func(q *Queues[int]) { q.Reconfigure(Policy{Paused: true}, nil); q.Push("a", "c", 1, 0) },
			func(q *Queues[int]) { q.Reconfigure(Policy{}, nil) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := newQueues(t, Config{})
				c.before(q)
				woken := false
				go func() {
					if j, err := q.Next(t.Context()); err != nil || j.Value != 1 {
						t.Errorf("Next is %d, %v", j.Value, err)
					}
					woken = true
				}()
				synctest.Wait()
				if woken {
					t.Fatal("did not wait")
				}
				c.wake(q)
				synctest.Wait()
				if !woken {
					t.Error("still waits")
					q.Close()
				}
			})
		})
	}
}

func TestDoneWakesWhoWaitsForACappedTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues(t, Config{Default: Policy{MaxInFlight: 1}})
		q.Push("a", "", 1, 0)
		q.Push("a", "", 2, 0)
		first, _ := q.Next(t.Context())
		go func() { time.Sleep(time.Second); q.Done(first) }()
		began := time.Now()
		if _, err := q.Next(t.Context()); err != nil || time.Since(began) != time.Second {
			t.Errorf("woken after %v, %v, want 1s", time.Since(began), err)
		}
	})
}

func TestARequeuedItemWakesAWorkerExactlyWhenItIsDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues(t, Config{})
		for i, name := range []string{"late", "soon", "later"} {
			q.Push(name, "", i, 0)
		}
		in := map[string]time.Duration{"late": 3 * time.Second, "soon": time.Second, "later": 7 * time.Second}
		began := time.Now()
		for range 3 {
			j, _ := q.Next(t.Context())
			q.Requeue(j, began.Add(in[j.Tenant]))
		}
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for {
					j, err := q.Next(t.Context())
					if err != nil {
						return
					}
					if since := time.Since(began); since != in[j.Tenant] {
						t.Errorf("%s woke a worker after %v, want %v", j.Tenant, since, in[j.Tenant])
					}
					q.Done(j)
				}
			})
		}
		time.Sleep(time.Minute)
		if q.Len() != 0 {
			t.Errorf("%d items are still queued", q.Len())
		}
		q.Close()
		wg.Wait()
	})
}

func TestARequeuedItemIsTheHeadOfItsQueueAndOthersPass(t *testing.T) {
	q := newQueues(t, Config{})
	for i := 1; i <= 3; i++ {
		q.PushAt(start, "a", "", i, 0)
	}
	q.PushAt(start, "a", "other", 10, 0)
	q.PushAt(start, "b", "", 20, 0)
	one, _ := q.TryNext(start)
	q.RequeueAt(start, one, start.Add(time.Second))
	for _, want := range []int{20, 10} {
		j, ok := q.TryNext(start)
		if !ok || j.Value != want {
			t.Fatalf("got %d, %v, want %d", j.Value, ok, want)
		}
	}
	if j, ok := q.TryNext(start.Add(time.Second - 1)); ok {
		t.Fatalf("%d runs before its time", j.Value)
	}
	for want := 1; want <= 3; want++ {
		j, ok := q.TryNext(start.Add(time.Second))
		if !ok || j.Value != want {
			t.Fatalf("got %d, %v, want %d", j.Value, ok, want)
		}
	}
}

func TestRequeueChargesTheRun(t *testing.T) {
	q := newQueues(t, Config{})
	q.PushAt(start, "a", "", 0, 0)
	j, _ := q.TryNext(start)
	q.RequeueAt(start.Add(time.Second), j, start)
	st, _ := q.Tenant("a")
	if st.WorkerTime != time.Second || st.Finished != 0 || st.Queued != 1 || st.Cost != time.Second {
		t.Errorf("got %+v", st)
	}
}

func TestNextEndsWithItsContextAndPassesTheWakeUpOn(t *testing.T) {
	q := newQueues(t, Config{})
	for range 200 {
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		got := make(chan int, 2)
		next := func(ctx context.Context) {
			if j, err := q.Next(ctx); err == nil {
				got <- j.Value
				q.Done(j)
			} else if !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		wg.Go(func() { next(t.Context()) })
		wg.Go(func() { next(ctx) })
		wg.Go(cancel)
		if err := q.Push("a", "", 1, 0); err != nil {
			t.Fatal(err)
		}
		<-got // one of them has it, whoever was woken and whoever was cancelled
		q.Push("a", "", 2, 0)
		wg.Go(func() { // for the second item, if only one of them still waits
			if j, ok := q.TryNext(time.Now()); ok {
				got <- j.Value
			}
		})
		<-got
		q.Push("a", "", 3, 0)
		q.Push("a", "", 4, 0)
		wg.Wait()
		for j, ok := q.TryNext(time.Now()); ok; j, ok = q.TryNext(time.Now()) {
			q.Done(j)
		}
		cancel()
	}
}

func TestAnEndedContextIsSaidEvenWhenThereIsWork(t *testing.T) {
	q := newQueues(t, Config{})
	q.Push("a", "", 0, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := q.Next(ctx); !errors.Is(err, context.Canceled) || q.Len() != 1 {
		t.Errorf("Next is %v with %d left, want context.Canceled and 1", err, q.Len())
	}
}

func TestCloseReturnsWhatIsQueuedAndEndsAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues(t, Config{})
		q.SetOpen("shut", false)
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() {
				if _, err := q.Next(t.Context()); err != ErrClosed {
					t.Errorf("Next is %v, want ErrClosed", err)
				}
			})
		}
		for i := range 4 {
			q.Push("a", "shut", i, 5)
		}
		synctest.Wait()
		if got := q.Close(); fmt.Sprint(got) != "[0 1 2 3]" {
			t.Errorf("Close returned %v", got)
		}
		wg.Wait()
		if err := q.Push("a", "", 0, 0); err != ErrClosed {
			t.Errorf("Push is %v, want ErrClosed", err)
		}
		if got := q.Close(); got != nil || q.Len() != 0 || q.Bytes() != 0 {
			t.Errorf("the second Close returned %v, %d left", got, q.Len())
		}
		if st, _ := q.Tenant("a"); st.Returned != 4 {
			t.Errorf("got %+v", st)
		}
	})
}

func TestARunMayEndAfterClose(t *testing.T) {
	q := newQueues(t, Config{})
	q.Push("a", "", 0, 0)
	q.Push("a", "", 0, 0)
	one, _ := q.TryNext(time.Now())
	two, _ := q.TryNext(time.Now())
	q.Close()
	q.Done(one)
	q.Requeue(two, time.Time{})
	st, _ := q.Tenant("a")
	if st.InFlight != 0 || st.Queued != 0 || st.Finished != 1 || st.Returned != 1 {
		t.Errorf("got %+v", st)
	}
}

func TestAJobThatIsNotOursEndsNothing(t *testing.T) {
	q := newQueues(t, Config{})
	q.Done(Job[int]{})
	q.Done(Job[int]{run: 7, gen: 1})
	q.Push("a", "", 0, 0)
	j, _ := q.TryNext(time.Now())
	q.Done(j)
	q.Push("a", "", 1, 0)
	again, _ := q.TryNext(time.Now()) // takes the same slot
	q.Done(j)
	q.Requeue(j, time.Time{})
	if st, _ := q.Tenant("a"); st.InFlight != 1 || st.Queued != 0 {
		t.Errorf("got %+v", st)
	}
	q.Done(again)
}

func TestEveryItemComesOutOnceWhateverHappensAtOnce(t *testing.T) {
	const pushers, each, workers = 4, 3000, 4
	q := newQueues(t, Config{
		Messages: 500, Default: Policy{Queue: 50, MaxInFlight: 3, Hold: true}, Forget: time.Microsecond,
	})
	seen := make([]atomic.Int32, pushers*each)
	var pushing, working, items sync.WaitGroup
	items.Add(len(seen))
	for range workers {
		working.Go(func() {
			for {
				j, err := q.Next(t.Context())
				if err != nil {
					return
				}
				if rand.IntN(10) == 0 {
					q.Requeue(j, time.Now().Add(time.Duration(rand.IntN(100))*time.Microsecond))
					continue
				}
				seen[j.Value].Add(1)
				q.Done(j)
				items.Done()
			}
		})
	}
	for p := range pushers {
		pushing.Go(func() {
			for i := range each {
				for q.Push(fmt.Sprint("tenant ", rand.IntN(20)), fmt.Sprint(rand.IntN(2)), p*each+i, 1) != nil {
					runtime.Gosched()
				}
			}
		})
	}
	stop := make(chan struct{})
	working.Go(func() { disturb(q, stop) })
	pushing.Wait()
	close(stop)
	items.Wait()
	if left := q.Close(); len(left) != 0 {
		t.Errorf("%d items are left", len(left))
	}
	working.Wait()
	for v := range seen {
		if n := seen[v].Load(); n != 1 {
			t.Fatalf("item %d came out %d times", v, n)
		}
	}
}

func TestWhatIsAcceptedRunsOrIsReturnedByClose(t *testing.T) {
	for range 20 {
		q := newQueues(t, Config{})
		var ran atomic.Int64
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				for q.Push(fmt.Sprint(i), "", 0, 1) != ErrClosed {
					runtime.Gosched()
				}
			})
			wg.Go(func() {
				for {
					j, err := q.Next(t.Context())
					if err != nil {
						return
					}
					if q.Done(j); ran.Add(1) == 200 {
						return
					}
				}
			})
		}
		for ran.Load() < 200 {
			runtime.Gosched()
		}
		left := q.Close()
		wg.Wait()
		var sum Stat
		for _, st := range q.All() {
			sum.Accepted += st.Accepted
			sum.Returned += st.Returned
		}
		if int(sum.Returned) != len(left) || int64(sum.Accepted) != ran.Load()+int64(len(left)) {
			t.Fatalf("accepted %d, ran %d, returned %d", sum.Accepted, ran.Load(), len(left))
		}
	}
}

// disturb changes all that can be changed until stop.
func disturb(q *Queues[int], stop chan struct{}) {
	for i := 0; ; i++ {
		select {
		case <-stop:
			q.SetOpen("0", true)
			q.Reconfigure(Policy{}, nil)
			return
		default:
		}
		q.SetOpen("0", i%2 == 0)
		q.SetPolicy("tenant 1", Policy{Paused: i%2 == 0})
		q.ClearPolicy("tenant 1")
		q.Reconfigure(Policy{Queue: 50, MaxInFlight: 1 + i%3, Hold: true}, func(name string, p *Policy) { p.Weight = 2 })
		for range q.All() {
		}
		for range q.Classes() {
		}
	}
}
