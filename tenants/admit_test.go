package tenants

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestAQueueShedsFromItsHighMarkDownToItsLow(t *testing.T) {
	q := newQueues(t, Config{Default: Policy{Queue: 10, High: 0.8, Low: 0.3}})
	push := func(want error) {
		t.Helper()
		if err := q.PushAt(start, "a", "", 0, 1); err != want {
			t.Fatalf("with %d queued Push is %v, want %v", q.Len(), err, want)
		}
	}
	take := func() {
		t.Helper()
		j, ok := q.TryNext(start)
		if !ok {
			t.Fatal("nothing runs")
		}
		q.DoneAt(start, j)
	}
	for range 8 {
		push(nil)
	}
	push(ErrShed)
	for range 4 {
		take()
		push(ErrShed)
	}
	take() // 3 left
	push(nil)
	st, _ := q.Tenant("a")
	if st.Shed != 5 || st.Full != 0 || st.Accepted != 9 || st.Over {
		t.Errorf("got %+v", st)
	}
}

func TestBytesAreMarksToo(t *testing.T) {
	q := newQueues(t, Config{Default: Policy{Bytes: 100, High: 0.8, Low: 0.5}})
	for _, c := range []struct {
		size int
		want error
	}{{60, nil}, {50, ErrShed}, {1, ErrShed}} { // 50 does not fit, and nothing may overtake it
		if err := q.PushAt(start, "a", "", 0, c.size); err != c.want {
			t.Errorf("Push of %d bytes is %v, want %v", c.size, err, c.want)
		}
	}
}

func TestAnEmptyQueueTakesOneItemOfAnySizeWithinTheTotal(t *testing.T) {
	q := newQueues(t, Config{Bytes: 1000, Default: Policy{Bytes: 10}})
	if err := q.PushAt(start, "a", "", 0, 1001); err != ErrFull {
		t.Errorf("beyond the total: %v, want ErrFull", err)
	}
	if err := q.PushAt(start, "a", "", 0, 1000); err != nil {
		t.Errorf("into an empty queue: %v", err)
	}
	if err := q.PushAt(start, "b", "", 0, 1); err != ErrFull {
		t.Errorf("beyond the total: %v, want ErrFull", err)
	}
	if st, _ := q.Tenant("b"); st.Full != 1 {
		t.Errorf("the refusal is not counted: %+v", st)
	}
}

func TestAHoldingQueueAcceptsUpToTheTotalAndTellsWhenItIsRelieved(t *testing.T) {
	relieved := 0
	var q *Queues[int]
	q = newQueues(t, Config{
		Messages: 6,
		Default:  Policy{Queue: 4, Low: 0.25, High: 0.5, Hold: true},
		OnRelief: func() { relieved++; q.Len(); q.Push("b", "", 0, 0) }, // it may call back
	})
	for i := range 6 {
		if err := q.PushAt(start, "a", "", 0, 1); err != nil {
			t.Fatal(err)
		}
		if q.Holding() != (i >= 1) {
			t.Fatalf("Holding is %v with %d queued", q.Holding(), i+1)
		}
	}
	if err := q.PushAt(start, "a", "", 0, 1); err != ErrFull {
		t.Errorf("beyond the total: %v, want ErrFull", err)
	}
	for q.Len() > 2 {
		q.TryNext(start)
	}
	if !q.Holding() || relieved != 0 {
		t.Errorf("Holding %v, relieved %d times with 2 queued", q.Holding(), relieved)
	}
	q.TryNext(start)
	if q.Holding() || relieved != 1 {
		t.Errorf("Holding %v, relieved %d times with 1 queued", q.Holding(), relieved)
	}
}

func TestCloseRelieves(t *testing.T) {
	relieved := 0
	q := newQueues(t, Config{Default: Policy{Queue: 1, Hold: true}, OnRelief: func() { relieved++ }})
	q.Push("a", "", 0, 0)
	if q.Close(); relieved != 1 || q.Holding() {
		t.Errorf("relieved %d times, Holding %v", relieved, q.Holding())
	}
}

// within returns queues that hold within 100 ms, filled to their high mark of 10, after
// items have left every so often.
func within(t *testing.T, gap time.Duration, c Config) *Queues[int] {
	t.Helper()
	c.Default = Policy{Queue: 20, High: 0.5, Low: 0.2, HoldWithin: 100 * time.Millisecond}
	q := newQueues(t, c)
	for range 9 {
		if err := q.Push("a", "", 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		time.Sleep(gap)
		j, _ := q.TryNext(time.Now())
		q.Done(j)
	}
	for range 6 {
		if err := q.Push("a", "", 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	return q
}

func TestAFastQueueHoldsWithinItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := within(t, 9*time.Millisecond, Config{})
		if !q.Holding() {
			t.Fatal("does not hold, though it would empty in 90 ms")
		}
		for range 10 {
			if err := q.Push("a", "", 0, 0); err != nil {
				t.Fatal(err)
			}
		}
		if err := q.Push("a", "", 0, 0); err != ErrFull || !q.Holding() {
			t.Errorf("beyond Queue: %v, Holding %v, want ErrFull and true", err, q.Holding())
		}
		q.Close()
	})
}

func TestASlowQueueShedsInsteadOfHolding(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := within(t, 11*time.Millisecond, Config{})
		if q.Holding() {
			t.Error("holds, though it would empty in 110 ms")
		}
		if err := q.Push("a", "", 0, 0); err != ErrShed {
			t.Errorf("Push is %v, want ErrShed", err)
		}
	})
}

func TestAHoldEndsByItselfWhenTheLowMarkIsNotReachedInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var relieved time.Time
		q := within(t, 9*time.Millisecond, Config{OnRelief: func() { relieved = time.Now() }})
		filled := time.Now()
		time.Sleep(time.Second)
		synctest.Wait()
		if after := relieved.Sub(filled); after != 400*time.Millisecond {
			t.Errorf("relieved after %v, want 400 ms: four times 100 ms", after)
		}
		if err := q.Push("a", "", 0, 0); err != ErrShed || q.Holding() {
			t.Errorf("Push is %v, Holding %v, want ErrShed and false", err, q.Holding())
		}
	})
}

func TestAQueueOfUnknownPaceIsTrustedForAsLong(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues(t, Config{Default: Policy{Queue: 10, HoldWithin: 100 * time.Millisecond}})
		for range 10 {
			q.Push("a", "", 0, 0)
		}
		if !q.Holding() {
			t.Error("does not hold at once")
		}
		time.Sleep(400*time.Millisecond + 1)
		synctest.Wait()
		if q.Holding() {
			t.Error("still holds though nothing has left")
		}
	})
}

func TestOnePauseDoesNotMakeAFastQueueSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues(t, Config{Default: Policy{Queue: 100, High: 0.5, Low: 0.2, HoldWithin: 5 * time.Millisecond}})
		take := func(gap time.Duration) {
			time.Sleep(gap)
			j, _ := q.TryNext(time.Now())
			q.Done(j)
			q.Push("a", "", 0, 0)
		}
		for range 40 {
			q.Push("a", "", 0, 0)
		}
		for range 200 {
			take(10 * time.Microsecond)
		}
		take(20 * time.Millisecond) // the garbage collector, say
		for range 20 {
			q.Push("a", "", 0, 0)
		}
		if !q.Holding() {
			t.Error("sheds after one pause")
		}
		q.Close()
	})
}

func TestAPaceIsUnknownAgainWhenItsTenantCouldHaveBeenForgotten(t *testing.T) {
	q := newQueues(t, Config{Forget: time.Minute})
	q.s.keepAll = true
	now := start
	play := func(gap time.Duration) time.Duration {
		for range 3 {
			q.PushAt(now, "a", "", 0, 0)
		}
		for range 3 {
			j, _ := q.TryNext(now)
			q.DoneAt(now, j)
			now = now.Add(gap)
		}
		st, _ := q.Tenant("a")
		return st.Interval
	}
	for range 10 {
		play(time.Millisecond)
	}
	now = now.Add(time.Hour)
	if got := play(time.Second); got != time.Second {
		t.Errorf("the pace is %v, want 1s, as of a tenant never seen", got)
	}
}

func TestAHoldWithinForEverDoesNotOverflow(t *testing.T) {
	q := newQueues(t, Config{Default: Policy{Queue: 2, HoldWithin: 1<<63 - 1}})
	for range 2 {
		if err := q.Push("a", "", 0, 0); err != nil {
			t.Fatal(err)
		}
	}
	q.TryNext(time.Now())
	q.Push("a", "", 0, 0)
	if err := q.Push("a", "", 0, 0); err != ErrFull || !q.Holding() {
		t.Errorf("Push is %v, Holding %v, want ErrFull and true", err, q.Holding())
	}
	q.Close()
}
