package tenants

import (
	"strings"
	"testing"
	"time"
)

func TestPolicyForIsAskedOncePerTenantAndAgainAtReconfigure(t *testing.T) {
	asked := map[string]int{}
	var q *Queues[int]
	ask := func(name string, p *Policy) {
		asked[name]++
		q.Len()
		q.Tenant(name) // no lock is held
		p.MaxInFlight++
	}
	q = newQueues(t, Config{Default: Policy{MaxInFlight: 1}, PolicyFor: ask})
	for range 3 {
		q.Push("a", "", 0, 0)
	}
	if st, _ := q.Tenant("a"); asked["a"] != 1 || st.MaxInFlight != 2 {
		t.Errorf("asked %d times, MaxInFlight %d, want 1 and 2", asked["a"], st.MaxInFlight)
	}
	if err := q.Reconfigure(Policy{MaxInFlight: 7}, ask); err != nil {
		t.Fatal(err)
	}
	if st, _ := q.Tenant("a"); asked["a"] != 2 || st.MaxInFlight != 8 {
		t.Errorf("asked %d times, MaxInFlight %d, want 2 and 8", asked["a"], st.MaxInFlight)
	}
}

func TestAnInvalidPolicyOfPolicyForIsReturnedByPush(t *testing.T) {
	q := newQueues(t, Config{PolicyFor: func(name string, p *Policy) {
		if name == "bad" {
			p.Weight = -1
		}
	}})
	err := q.Push("bad", "", 0, 0)
	if err == nil || !strings.Contains(err.Error(), `PolicyFor("bad"): Policy.Weight is -1`) {
		t.Errorf("Push is %v", err)
	}
	if err := q.Push("good", "", 0, 0); err != nil {
		t.Error(err)
	}
}

func TestAnInvalidReconfigureChangesNothing(t *testing.T) {
	q := newQueues(t, Config{Default: Policy{Weight: 2}})
	q.Push("a", "", 0, 0)
	q.Push("bad", "", 0, 0)
	if err := q.Reconfigure(Policy{High: 3}, nil); err == nil {
		t.Error("no error for an invalid default")
	}
	err := q.Reconfigure(Policy{Weight: 3}, func(name string, p *Policy) {
		if name == "bad" {
			p.Queue = -1
		}
	})
	if err == nil || !strings.Contains(err.Error(), `"bad"`) {
		t.Errorf("got %v", err)
	}
	q.Push("new", "", 0, 0)
	for name, st := range q.All() {
		if st.Weight != 2 {
			t.Errorf("%s has weight %v, want 2", name, st.Weight)
		}
	}
}

func TestReconfigureReachesEveryTenantButThoseWithTheirOwn(t *testing.T) {
	q := newQueues(t, Config{Messages: 10000})
	for i := range 1000 {
		q.Push(string(rune('A'+i%50))+string(rune('a'+i/50)), "", 0, 0)
	}
	if err := q.SetPolicy("Aa", Policy{Weight: 9}); err != nil {
		t.Fatal(err)
	}
	if err := q.Reconfigure(Policy{Weight: 4}, nil); err != nil {
		t.Fatal(err)
	}
	n := 0
	for name, st := range q.All() {
		want := 4.0
		if name == "Aa" {
			want = 9
		}
		if n++; st.Weight != want {
			t.Fatalf("%s has weight %v, want %v", name, st.Weight, want)
		}
	}
	if n != 1000 {
		t.Errorf("All yields %d tenants, want 1000", n)
	}
	q.ClearPolicy("Aa")
	if st, _ := q.Tenant("Aa"); st.Weight != 4 {
		t.Errorf("after ClearPolicy the weight is %v, want 4", st.Weight)
	}
}

func TestATenantsOwnPolicyOutlivesItsBeingForgotten(t *testing.T) {
	q := newQueues(t, Config{Forget: time.Second})
	if err := q.SetPolicy("a", Policy{Weight: 5}); err != nil {
		t.Fatal(err)
	}
	run := func(name string, now time.Time) {
		q.PushAt(now, name, "", 0, 0)
		j, _ := q.TryNext(now)
		q.DoneAt(now, j)
	}
	for _, now := range []time.Time{start, start.Add(time.Hour)} {
		run("a", now)
		if st, _ := q.Tenant("a"); st.Weight != 5 {
			t.Errorf("the weight is %v, want 5", st.Weight)
		}
		run("b", now.Add(time.Minute))
		if _, ok := q.Tenant("a"); ok {
			t.Error("not forgotten")
		}
	}
	if err := q.SetPolicy("a", Policy{Weight: -5}); err == nil {
		t.Error("no error for an invalid policy")
	}
}

func TestPausingALargeFlockStopsIt(t *testing.T) {
	q := newQueues(t, Config{})
	for i := range 300 {
		q.Push(string(rune(i+300)), "", 0, 0)
	}
	q.Reconfigure(Policy{Paused: true}, nil)
	if j, ok := q.TryNext(time.Now()); ok {
		t.Errorf("%s runs", j.Tenant)
	}
	q.Reconfigure(Policy{}, nil)
	n := 0
	for _, ok := q.TryNext(time.Now()); ok; _, ok = q.TryNext(time.Now()) {
		n++
	}
	if n != 300 {
		t.Errorf("%d run, want 300", n)
	}
}
