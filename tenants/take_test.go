package tenants

import (
	"testing"
	"time"
)

func TestToTakeWhatIsEmptyChangesNothing(t *testing.T) {
	q := newQueues(t, Config{})
	if err := q.Push("a", "", 1, 1); err != nil {
		t.Fatal(err)
	}
	for range 3 { // the second and the third find nothing
		q.Take("a", "")
	}
	if q.s.idle != 1 {
		t.Errorf("%d tenants are idle, there is one", q.s.idle)
	}
}

func TestWhoLacksRoomIsToldWhenWhatMayNotStartIsTaken(t *testing.T) {
	relieved := 0
	q := newQueues(t, Config{
		Messages: 1000, Default: Policy{Queue: 1000},
		Soft:     Soft{Delay: time.Millisecond, Workers: 1, Messages: 100},
		OnRelief: func() { relieved++ },
	})
	for range 60 {
		if err := q.Push("a", "x", 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	q.SetOpen("x", false)
	if err := q.Push("b", "y", 1, 1); err != nil {
		t.Fatal(err)
	}
	q.SetOpen("y", false)
	if r := q.Room("b", "y"); r.Items != 0 {
		t.Fatalf("there is room: %+v", r)
	}
	relieved = 0
	if n := len(q.Take("a", "x")); n != 60 {
		t.Fatalf("%d were taken", n)
	}
	if r := q.Room("b", "y"); r.Items == 0 || relieved == 0 {
		t.Errorf("the room is %+v now, and OnRelief was called %d times", r, relieved)
	}
}

// What others say of a tenant while PolicyFor is asked for it counts.
func TestATenantThatIsMetWhileItsPolicyChangesHasTheNewOne(t *testing.T) {
	for name, change := range map[string]func(q *Queues[int]){
		"refresh": func(q *Queues[int]) { q.Refresh("a") },
		"own": func(q *Queues[int]) {
			if err := q.SetPolicy("a", Policy{Paused: true}); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			var q *Queues[int]
			paused, asked := false, 0
			q = newQueues(t, Config{PolicyFor: func(_ string, p *Policy) {
				p.Paused = paused && name == "refresh"
				if asked++; asked == 1 {
					paused = true
					change(q)
				}
			}})
			if err := q.Push("a", "", 1, 1); err != nil {
				t.Fatal(err)
			}
			if _, ok := q.TryNext(time.Now()); ok {
				t.Error("a message of a tenant that is paused has started")
			}
		})
	}
}

func TestWhoLacksRoomIsToldWhenItMayStartAgain(t *testing.T) {
	relieved := 0
	q := newQueues(t, Config{
		Messages: 1000, Default: Policy{Queue: 1000},
		Soft:     Soft{Delay: time.Millisecond, Workers: 1, Messages: 100},
		OnRelief: func() { relieved++ },
	})
	for range 60 {
		if err := q.Push("a", "x", 1, 1); err != nil {
			t.Fatal(err)
		}
	}
	if err := q.Push("b", "x", 1, 1); err != nil {
		t.Fatal(err)
	}
	q.Take("b", "x")
	for _, tenant := range []string{"a", "b"} {
		if err := q.SetPolicy(tenant, Policy{Queue: 1000, Paused: true}); err != nil {
			t.Fatal(err)
		}
	}
	if r := q.Room("b", "x"); r.Items != 0 {
		t.Fatalf("there is room: %+v", r)
	}
	relieved = 0
	if err := q.SetPolicy("b", Policy{Queue: 1000}); err != nil {
		t.Fatal(err)
	}
	if r := q.Room("b", "x"); r.Items == 0 || relieved == 0 {
		t.Errorf("the room is %+v now, and OnRelief was called %d times", r, relieved)
	}
}
