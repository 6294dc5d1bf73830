package tenants

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

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
