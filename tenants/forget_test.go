package tenants

import (
	"fmt"
	"testing"
	"time"
)

func TestTenantNamesDoNotGrowTheMemory(t *testing.T) {
	q := newQueues(t, Config{Forget: time.Hour})
	q.s.maxIdle = 100
	if err := q.PushAt(start, "waits", "shut", 0, 1); err != nil {
		t.Fatal(err)
	}
	q.SetOpen("shut", false) // so that the busy period never ends
	now := start
	for i := range 5000 {
		if err := q.PushAt(now, fmt.Sprint("name ", i), "", 0, 1); err != nil {
			t.Fatal(err)
		}
		j, ok := q.TryNext(now)
		if !ok {
			t.Fatal("nothing runs")
		}
		now = now.Add(time.Millisecond)
		q.DoneAt(now, j)
	}
	if n := len(q.s.tenants); n > 102 {
		t.Errorf("%d tenants are known, want at most 100 idle ones and the one that waits", n)
	}
	if n := len(q.s.queues); n > 103 {
		t.Errorf("%d queues were made, want them used again", n)
	}
	if q.s.tenants["waits"] == nil {
		t.Error("a tenant with something queued is forgotten")
	}
}

func TestNewNamesDoNotStarveATenant(t *testing.T) {
	q := newQueues(t, Config{Forget: time.Hour})
	q.s.maxIdle = 50
	now := start
	push := func(tenant string) {
		t.Helper()
		if err := q.PushAt(now, tenant, "", 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	push("steady")
	push("steady")
	for i, n := 0, 0; n < 2; i++ {
		push(fmt.Sprint("name ", i))
		j, _ := q.TryNext(now)
		now = now.Add(time.Millisecond)
		q.DoneAt(now, j)
		if j.Tenant == "steady" {
			n++
		}
		if i > 200 {
			t.Fatalf("%d names went before the second item of the steady tenant", i)
		}
	}
}

func TestATenantIsForgottenAfterItsTime(t *testing.T) {
	q := newQueues(t, Config{Forget: time.Minute})
	run := func(tenant string, now time.Time) {
		t.Helper()
		if err := q.PushAt(now, tenant, "", 0, 1); err != nil {
			t.Fatal(err)
		}
		j, _ := q.TryNext(now)
		q.DoneAt(now.Add(time.Millisecond), j)
	}
	run("a", start)
	run("b", start.Add(59*time.Second))
	if _, ok := q.Tenant("a"); !ok {
		t.Error("forgotten before its time")
	}
	run("b", start.Add(61*time.Second))
	if _, ok := q.Tenant("a"); ok {
		t.Error("known after its time")
	}
}
