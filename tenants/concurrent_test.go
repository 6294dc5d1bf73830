package tenants

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

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
