package tenants_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/tenants"
)

// softly returns queues on 4 workers in which 10 ms of waiting are the aim, and 100 items
// may wait in all.
func softly(t fataler, p tenants.Policy) *tenants.Queues[int] {
	t.Helper()
	q, err := tenants.NewQueues[int](tenants.Config{
		Messages: 1000, Default: p,
		Soft: tenants.Soft{Delay: 10 * time.Millisecond, Workers: 4, Messages: 100},
	})
	if err != nil {
		t.Fatal(err)
	}
	return q
}

type fataler interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

// teach makes known that items of class take so long.
func teach(t fataler, q *tenants.Queues[int], now time.Time, class string, took time.Duration) time.Time {
	t.Helper()
	for range 200 {
		if err := q.PushAt(now, "teacher", class, 0, 1); err != nil {
			t.Fatal(err)
		}
		j, ok := q.TryNext(now)
		if !ok {
			t.Fatal("nothing to start")
		}
		now = now.Add(took)
		q.DoneAt(now, j)
	}
	return now
}

// fill pushes until that is refused, and returns how many went in.
func fill(q *tenants.Queues[int], now time.Time, tenant, class string) (n int) {
	for q.PushAt(now, tenant, class, n, 1) == nil {
		n++
	}
	return n
}

func TestAQueueGetsTwiceWhatIsLeftOfTheSoftBound(t *testing.T) {
	for _, tt := range []struct {
		took time.Duration
		want []int // of each tenant in turn
	}{
		// soft = 4 + 4·10ms/took, taken by queues until depth ≥ 2·(soft·3/2 - all that wait)
		{100 * time.Millisecond, []int{5, 2, 1}}, // soft 5
		{40 * time.Millisecond, []int{5, 2, 1}},  // soft 5
		{20 * time.Millisecond, []int{6, 2, 1}},  // soft 6
		{10 * time.Millisecond, []int{9, 2, 1}},  // soft 8, and 8 would be gone in 20 ms
	} {
		t.Run(tt.took.String(), func(t *testing.T) {
			q := softly(t, tenants.Policy{Queue: 200})
			now := teach(t, q, time.Now(), "x", tt.took)
			for i, want := range tt.want {
				if n := fill(q, now, fmt.Sprint("tenant ", i), "x"); n != want {
					t.Errorf("queue %d took %d, want %d", i, n, want)
				}
			}
		})
	}
}

func TestNoSoftBoundButTheTotalHoldsWhileNoServiceTimeIsKnown(t *testing.T) {
	q := softly(t, tenants.Policy{Queue: 50})
	for i, want := range []int{50, 34, 11, 4, 1} { // twice what is left of 100
		if n := fill(q, time.Now(), fmt.Sprint("tenant ", i), "x"); n != want {
			t.Errorf("queue %d took %d, want %d", i, n, want)
		}
	}
}

func TestWhatIsGoneInAMomentHasNoSoftBound(t *testing.T) {
	q := softly(t, tenants.Policy{Queue: 300})
	now := teach(t, q, time.Now(), "x", 100*time.Microsecond)
	if n := fill(q, now, "a", "x"); n != 300 {
		t.Errorf("took %d, want the whole queue", n)
	}
}

func TestTheSoftBoundIsOfAClass(t *testing.T) {
	q := softly(t, tenants.Policy{Queue: 50})
	now := teach(t, q, time.Now(), "slow", 100*time.Millisecond)
	fill(q, now, "a", "slow")
	fill(q, now, "b", "slow")
	if n := fill(q, now, "c", "other"); n != 50 {
		t.Errorf("the queue of another class took %d, want 50", n)
	}
	q.SetLimit("slow", 1) // soft 2
	if r := q.Room("d", "slow"); r.High != 1 {
		t.Errorf("with one at once a new queue has %+v", r)
	}
}

func TestWhatMayNotStartSharesAHalf(t *testing.T) {
	for name, block := range map[string]func(q *tenants.Queues[int]){
		"closed class": func(q *tenants.Queues[int]) { q.SetOpen("x", false) },
		"paused": func(q *tenants.Queues[int]) {
			if err := q.Reconfigure(tenants.Policy{Queue: 200, Paused: true}, nil); err != nil {
				t.Fatal(err)
			}
		},
		"at its cap": func(q *tenants.Queues[int]) {
			if err := q.Reconfigure(tenants.Policy{Queue: 200, MaxInFlight: 1}, nil); err != nil {
				t.Fatal(err)
			}
			for i := range 4 {
				if err := q.PushAt(time.Now(), fmt.Sprint("tenant ", i), "x", 0, 1); err != nil {
					t.Fatal(err)
				}
				if _, ok := q.TryNext(time.Now()); !ok {
					t.Fatal("it does not start")
				}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			q := softly(t, tenants.Policy{Queue: 200})
			block(q)
			for i, want := range []int{34, 11, 4, 1} { // twice what is left of 50
				n := fill(q, time.Now(), fmt.Sprint("tenant ", i), "x")
				if n != want {
					t.Errorf("queue %d took %d, want %d", i, n, want)
				}
			}
			if name == "closed class" {
				if n := fill(q, time.Now(), "free", "y"); n < 10 {
					t.Errorf("a queue that may run took %d", n)
				}
			}
		})
	}
}

func TestNothingMoreOfWhatMayNotStartIsTakenWhenItsShareIsUsedUp(t *testing.T) {
	q := softly(t, tenants.Policy{Queue: 10})
	q.SetOpen("x", false)
	for i := range 50 {
		_ = q.PushAt(time.Now(), fmt.Sprint("tenant ", i), "x", 0, 1)
	}
	if err := q.Push("one more", "x", 0, 1); !errors.Is(err, tenants.ErrShed) {
		t.Errorf("the 51st is refused with %v", err)
	}
	if err := q.Push("one more", "y", 0, 1); err != nil {
		t.Errorf("one that can run: %v", err)
	}
}

func TestBytesAreSharedLikeItems(t *testing.T) {
	q, err := tenants.NewQueues[int](tenants.Config{
		Default: tenants.Policy{Queue: 100, Bytes: 1 << 20},
		Soft:    tenants.Soft{Delay: time.Second, Workers: 4, Bytes: 3000},
	})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for q.Push("a", "x", 0, 100) == nil {
		n++
	}
	if n != 20 {
		t.Errorf("took %d of 100 bytes, want 20 of the 30 there are", n)
	}
	if err := q.Push("b", "x", 0, 5000); err != nil {
		t.Errorf("an empty queue takes one of any size: %v", err)
	}
}

func TestAQueueTakesMoreAgainAsOthersDrain(t *testing.T) {
	relieved := 0
	q, err := tenants.NewQueues[int](tenants.Config{
		Messages: 1000, Default: tenants.Policy{Queue: 200},
		Soft:     tenants.Soft{Delay: 100 * time.Millisecond, Workers: 4, Messages: 500},
		OnRelief: func() { relieved++ },
	})
	if err != nil {
		t.Fatal(err)
	}
	now := teach(t, q, time.Now(), "x", 10*time.Millisecond) // soft 44
	fill(q, now, "a", "x")
	if n := fill(q, now, "b", "x"); n > 15 {
		t.Fatalf("b took %d", n)
	}
	relieved = 0
	var jobs []tenants.Job[int]
	for j, ok := q.TryNext(now); ok; j, ok = q.TryNext(now) {
		jobs = append(jobs, j)
	}
	if relieved == 0 {
		t.Error("nobody was told that there is room again")
	}
	if err := q.PushAt(now, "b", "x", 0, 1); err != nil {
		t.Errorf("b sheds although nothing waits: %v", err)
	}
	for _, j := range jobs {
		q.DoneAt(now, j)
	}
}

func TestTheSourceStopsAtTheSoftBoundIfThePolicyIsToHold(t *testing.T) {
	q := softly(t, tenants.Policy{Queue: 200, High: 0.9, Low: 0.5, Hold: true})
	now := teach(t, q, time.Now(), "x", 100*time.Millisecond)
	for range 10 { // what is in transit still goes in
		if err := q.PushAt(now, "a", "x", 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	if !q.Holding() {
		t.Fatal("it does not hold")
	}
	for q.Holding() {
		j, ok := q.TryNext(now)
		if !ok {
			t.Fatal("it holds although nothing waits")
		}
		q.DoneAt(now, j)
	}
	if n := q.Len(); n == 0 {
		t.Error("it held until nothing was left")
	}
	fill := func() {
		for !q.Holding() {
			if err := q.PushAt(now, "a", "x", 0, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if fill(); true {
		q.SetOpen("x", false)
	}
	if q.Holding() {
		t.Error("a closed class holds the source although its queue is far from its mark")
	}
}

func TestTakeEmptiesOneQueueInItsOrder(t *testing.T) {
	q := softly(t, tenants.Policy{Queue: 10})
	for i := range 5 {
		for _, class := range []string{"x", "y"} {
			if err := q.Push("a", class, i, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	got := q.Take("a", "x")
	if fmt.Sprint(got) != "[0 1 2 3 4]" || q.Len() != 5 {
		t.Errorf("took %v, %d are left", got, q.Len())
	}
	if more := q.Take("a", "x"); len(more) > 0 || q.Take("b", "x") != nil || q.Take("a", "z") != nil {
		t.Errorf("took %v of nothing", more)
	}
	if st, _ := q.Tenant("a"); st.Returned != 5 || st.Accepted != 10 || st.Queued != 5 {
		t.Errorf("%+v", st)
	}
}

func TestASoftBoundThatMakesNoSenseIsRefused(t *testing.T) {
	_, err := tenants.NewQueues[int](tenants.Config{Soft: tenants.Soft{Workers: -1, Messages: -2, Bytes: -3}})
	for _, want := range []string{"Config.Soft.Delay is 0s", "Config.Soft.Workers is -1", "Config.Soft.Messages is -2", "Config.Soft.Bytes is -3"} {
		wantText(t, err, want)
	}
	q := softly(t, tenants.Policy{})
	wantText(t, q.SetSoft(tenants.Soft{Delay: 1}), "Config.Soft.Workers is 0")
	if err := q.SetSoft(tenants.Soft{}); err != nil {
		t.Error(err)
	}
}

// Whatever happens: a tenant that has nothing waiting and may run is taken in, what waits
// of a class stays within its bound and one for each tenant, and once all is done every
// queue takes its marks again.
func TestTheSoftBoundAlwaysLeavesRoom(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		q := softly(t, tenants.Policy{Queue: 60, High: 0.9, Low: 0.4})
		took := time.Duration(rapid.IntRange(1, 100).Draw(t, "service time, ms")) * time.Millisecond
		now := teach(t, q, time.Now(), "x", took)
		soft := int(4+4*10*time.Millisecond/took+1) * 3 / 2
		quick := int(4*20*time.Millisecond/took) + 1
		var running []tenants.Job[int]
		names := map[string]bool{}
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			name := fmt.Sprint("tenant ", rapid.IntRange(0, 9).Draw(t, "tenant"))
			switch rapid.SampledFrom([]string{"push", "push", "take", "done"}).Draw(t, "step") {
			case "push":
				err := q.PushAt(now, name, "x", 0, 1)
				if st, _ := q.Tenant(name); err != nil && st.Queued == 0 {
					t.Fatalf("%s has nothing here, and is refused: %v", name, err)
				}
				names[name] = true
			case "take":
				if j, ok := q.TryNext(now); ok {
					running = append(running, j)
				}
			case "done":
				if len(running) > 0 {
					now = now.Add(took / 4)
					q.DoneAt(running[0].Started.Add(took), running[0])
					running = running[1:]
				}
			}
			if most := max(soft, quick) + len(names); q.Len() > most {
				t.Fatalf("%d wait, at most %d may", q.Len(), most)
			}
		}
		for j, ok := q.TryNext(now); ok; j, ok = q.TryNext(now) {
			q.DoneAt(now.Add(took), j)
		}
		for name := range names {
			if r := q.Room(name, "x"); r.Over || r.Items < 4 {
				t.Fatalf("all is done, and %s has %+v", name, r)
			}
		}
	})
}

func wantText(t *testing.T, err error, want string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), want) {
		t.Errorf("got %v, want it to say %q", err, want)
	}
}
