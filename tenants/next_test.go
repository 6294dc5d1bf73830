package tenants

import (
	"context"
	"errors"
	"fmt"
	"sync"
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

func TestAWakeUpThatComesWithTheEndOfAContextIsPassedOn(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	synctest.Test(t, func(t *testing.T) {
		for range 50 { // whether the wake-up or the context is seen first is chance
			q := newQueues(t, Config{})
			var wg sync.WaitGroup
			got := false
			wg.Go(func() { _, err := q.Next(t.Context()); got = err == nil })
			synctest.Wait()
			q.mu.Lock()
			late := q.sleepers.lieDown()
			q.unlock()
			q.Push("a", "", 1, 0) // wakes the last to lie down
			if err := q.sleep(ended, late); err != nil {
				if synctest.Wait(); !got {
					t.Error("the item is there and nobody is awake")
				}
			}
			q.Close()
			wg.Wait()
		}
	})
}

func TestNextEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues(t, Config{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := q.Next(ctx); !errors.Is(err, context.DeadlineExceeded) || len(q.sleepers.waiting) != 0 {
			t.Errorf("Next is %v, %d still wait", err, len(q.sleepers.waiting))
		}
	})
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

func TestItemsRequeuedOutOfOrderComeBackInOrderAfterTheLastOfTheirTimes(t *testing.T) {
	q := newQueues(t, Config{})
	var jobs []Job[int]
	for i := range 4 {
		q.PushAt(start, "a", "", i, 0)
	}
	for range 3 {
		j, _ := q.TryNext(start)
		jobs = append(jobs, j)
	}
	for _, i := range []int{1, 0, 2} { // the second has the latest time
		q.RequeueAt(start, jobs[i], start.Add(time.Duration([]int{2, 9, 5}[i])*time.Second))
	}
	if j, ok := q.TryNext(start.Add(9*time.Second - 1)); ok {
		t.Fatalf("%d runs before the last of their times", j.Value)
	}
	for want := range 4 {
		if j, _ := q.TryNext(start.Add(9 * time.Second)); j.Value != want {
			t.Fatalf("got %d, want %d", j.Value, want)
		}
	}
}

func TestTheAlarmIsMovedForwardAndSetAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues(t, Config{})
		began := time.Now()
		var held []Job[int]
		for i := range 3 {
			q.Push(fmt.Sprint(i), "", i, 0)
			j, _ := q.Next(t.Context())
			held = append(held, j)
		}
		in := []time.Duration{7 * time.Second, time.Second, 2 * time.Second}
		var wg sync.WaitGroup
		for range held {
			wg.Go(func() { // each takes one and asks for no more
				j, err := q.Next(t.Context())
				if since := time.Since(began); err != nil || since != in[j.Value] {
					t.Errorf("item %d woke a worker after %v, %v, want %v", j.Value, since, err, in[j.Value])
				}
			})
		}
		synctest.Wait()
		for i, j := range held {
			q.Requeue(j, began.Add(in[i]))
		}
		wg.Wait()
	})
}

func TestWhoIsWokenWakesTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 100 {
			q := newQueues(t, Config{})
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if _, err := q.Next(t.Context()); err != nil {
						t.Error(err)
					}
				})
			}
			synctest.Wait()
			for range 3 {
				q.Push("a", "", 0, 0) // before the first of them is up
			}
			wg.Wait()
		}
	})
}
