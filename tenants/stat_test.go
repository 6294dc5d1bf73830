package tenants

import (
	"testing"
	"time"
)

func TestStatSaysWhatIsKnownOfATenant(t *testing.T) {
	q := newQueues(t, Config{Default: Policy{Queue: 4, High: 0.75, Low: 0.5, MaxInFlight: 9, Weight: 2}})
	at := func(ms int) time.Time { return start.Add(time.Duration(ms) * time.Millisecond) }
	for i := range 3 {
		q.PushAt(at(i), "a", "x", i, 10)
	}
	q.PushAt(at(3), "a", "y", 3, 5)
	q.PushAt(at(4), "a", "x", 4, 5)
	first, _ := q.TryNext(at(10))
	q.TryNext(at(14))
	q.DoneAt(at(30), first)

	st, ok := q.Tenant("a")
	want := Stat{
		Queued: 2, Bytes: 15, InFlight: 1, Weight: 2, MaxInFlight: 9, Queue: 4, High: 3,
		Accepted: 4, Shed: 1, Finished: 1,
		WorkerTime: 20 * time.Millisecond, Cost: 20 * time.Millisecond, Interval: 4 * time.Millisecond,
		Oldest: at(2),
	}
	queues := st.queues
	st.queues = nil
	if !ok || !equal(st, want) {
		t.Errorf("got %+v\nwant %+v", st, want)
	}
	if len(queues) != 2 || queues[0].class != "x" || queues[0].stat.Queued != 1 || queues[1].stat.Bytes != 5 {
		t.Errorf("queues are %+v", queues)
	}
	if _, ok := q.Tenant("unknown"); ok {
		t.Error("a tenant never seen is known")
	}
}

func equal(a, b Stat) bool {
	return a.Queued == b.Queued && a.Bytes == b.Bytes && a.InFlight == b.InFlight && a.Weight == b.Weight &&
		a.MaxInFlight == b.MaxInFlight && a.Queue == b.Queue && a.High == b.High && a.Paused == b.Paused && a.Over == b.Over && a.Accepted == b.Accepted &&
		a.Shed == b.Shed && a.Full == b.Full && a.Finished == b.Finished && a.Returned == b.Returned &&
		a.WorkerTime == b.WorkerTime && a.Cost == b.Cost && a.Interval == b.Interval && a.Oldest.Equal(b.Oldest)
}

func TestARequeuedQueueSaysUntilWhenItWaits(t *testing.T) {
	q := newQueues(t, Config{})
	q.PushAt(start, "a", "x", 0, 1)
	j, _ := q.TryNext(start)
	q.RequeueAt(start, j, start.Add(time.Minute))
	st, _ := q.Tenant("a")
	for class, qs := range st.Classes() {
		if class != "x" || !qs.NotBefore.Equal(start.Add(time.Minute)) || !qs.Oldest.Equal(start) {
			t.Errorf("%s is %+v", class, qs)
		}
	}
}

func TestClassesAreCountedOverAllTenants(t *testing.T) {
	q := newQueues(t, Config{})
	q.PushAt(start, "a", "x", 0, 1)
	q.PushAt(start, "b", "x", 0, 2)
	q.PushAt(start, "b", "y", 0, 3)
	q.TryNext(start)
	q.SetOpen("y", false)
	q.SetOpen("z", false)
	want := map[string]ClassStat{
		"x": {Open: true, Queued: 1, Bytes: 2, InFlight: 1, Runnable: 1},
		"y": {Queued: 1, Bytes: 3, Runnable: 1},
		"z": {},
	}
	for name, st := range q.Classes() {
		if st != want[name] {
			t.Errorf("%s is %+v, want %+v", name, st, want[name])
		}
		delete(want, name)
		q.Len() // no lock is held
	}
	if len(want) != 0 {
		t.Errorf("not yielded: %v", want)
	}
}

func TestAllMayBeLeftEarlyAndCallsBackWithoutALock(t *testing.T) {
	q := newQueues(t, Config{})
	for i := range 300 {
		q.Push(string(rune(i+300)), "", 0, 0)
	}
	n := 0
	for name := range q.All() {
		if _, ok := q.Tenant(name); !ok {
			t.Errorf("%s is not known", name)
		}
		if n++; n == 200 {
			break
		}
	}
}
