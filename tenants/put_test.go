package tenants_test

import (
	"errors"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

func TestPutPassesTheWatermarkAndNotTheTotal(t *testing.T) {
	q, err := tenants.NewQueues[int](tenants.Config{Messages: 6, Default: tenants.Policy{Queue: 4, High: 0.5, Low: 0.25}})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 2 {
		if err := q.PushAt(now, "a", "x", i, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.PushAt(now, "a", "x", 9, 1); !errors.Is(err, tenants.ErrShed) {
		t.Fatalf("pushed at the high mark: %v", err)
	}
	for i := 2; i < 6; i++ {
		if err := q.PutAt(now, "a", "x", i, 1); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	if err := q.PutAt(now, "a", "x", 9, 1); !errors.Is(err, tenants.ErrFull) {
		t.Fatalf("put beyond the total: %v", err)
	}
	for want := range 6 {
		j, ok := q.TryNext(now)
		if !ok || j.Value != want {
			t.Fatalf("took %d, %v; want %d", j.Value, ok, want)
		}
		q.DoneAt(now, j)
	}
}

func TestPutDoesNotMakeAQueueShed(t *testing.T) {
	q, err := tenants.NewQueues[int](tenants.Config{Default: tenants.Policy{Queue: 4, High: 0.5, Low: 0.25}})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 4 {
		if err := q.PutAt(time.Now(), "a", "x", i, 1); err != nil {
			t.Fatal(err)
		}
	}
	if q.Room("a", "x").Over {
		t.Error("it sheds")
	}
}

func TestRoomIsWhatAQueueTakesBeforeItsHighMark(t *testing.T) {
	q, err := tenants.NewQueues[int](tenants.Config{Default: tenants.Policy{Queue: 8, High: 0.5, Low: 0.25}})
	if err != nil {
		t.Fatal(err)
	}
	want := func(space int, isOver bool) {
		t.Helper()
		if r := q.Room("a", "x"); r.Items != space || r.Over != isOver {
			t.Errorf("%+v, want %d items, over %v", r, space, isOver)
		}
	}
	want(4, false) // of a tenant that is not known
	now := time.Now()
	for i := range 4 {
		want(4-i, false)
		if err := q.PushAt(now, "a", "x", i, 1); err != nil {
			t.Fatal(err)
		}
	}
	want(0, true)
	for range 2 {
		j, _ := q.TryNext(now)
		q.DoneAt(now, j)
	}
	want(2, false)
}

func TestOnReliefTellsThatAQueueEndedToShed(t *testing.T) {
	eased := 0
	q, err := tenants.NewQueues[int](tenants.Config{
		Default:  tenants.Policy{Queue: 4, High: 0.5, Low: 0.25},
		OnRelief: func() { eased++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i := range 2 {
		if err := q.PushAt(now, "a", "x", i, 1); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 2 {
		if eased != i {
			t.Fatalf("told %d times with %d items left", eased, 2-i)
		}
		j, _ := q.TryNext(now)
		q.DoneAt(now, j)
	}
	if eased != 1 {
		t.Errorf("told %d times, want once", eased)
	}
}

func TestOnReliefTellsThatAQueueEndedToHoldThoughAnotherStillDoes(t *testing.T) {
	relieved := 0
	q, err := tenants.NewQueues[int](tenants.Config{
		Default:  tenants.Policy{Queue: 4, High: 0.5, Low: 0.25, Hold: true},
		OnRelief: func() { relieved++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	for i, tenant := range []string{"a", "a", "b", "b"} {
		if err := q.PushAt(now, tenant, "x", i, 1); err != nil {
			t.Fatal(err)
		}
	}
	for want := range 3 {
		if relieved != want {
			t.Fatalf("told %d times when %d queues have ended to hold", relieved, want)
		}
		if want > 0 && q.Room("a", "x").Over {
			t.Fatal("a still holds")
		}
		j, _ := q.TryNext(now)
		q.DoneAt(now, j)
	}
}
