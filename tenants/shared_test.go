package tenants

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// sharing is a policy whose tokens are counted elsewhere.
func sharing() Policy {
	return Policy{Rate: Rate{Events: 5, Per: time.Second, Burst: 2}, SharedRate: true}
}

func TestAJobSaysTheSharedRateThatItNeedsATokenOf(t *testing.T) {
	q := newQueues(t, Config{PolicyFor: func(tenant string, p *Policy) {
		switch tenant {
		case "shared":
			*p = sharing()
		case "own":
			p.Rate = sharing().Rate
		}
	}})
	for _, tenant := range []string{"shared", "own", "free"} {
		for range 5 {
			if err := q.PushAt(start, tenant, "", 0, 0); err != nil {
				t.Fatal(err)
			}
		}
	}
	started := map[string]int{}
	for j, ok := q.TryNext(start); ok; j, ok = q.TryNext(start) {
		started[j.Tenant]++
		r, shared := j.SharedRate()
		if want := j.Tenant == "shared"; shared != want || want && r != sharing().Rate {
			t.Errorf("a job of %s says %v, %t", j.Tenant, r, shared)
		}
	}
	if started["shared"] != 5 || started["own"] != 2 || started["free"] != 5 {
		t.Errorf("started were %v: Queues counts the tokens of a rate that is not shared, and no others", started)
	}
	if st, _ := q.Tenant("shared"); !st.SharedRate || st.Rate != sharing().Rate {
		t.Errorf("its state is %+v", st)
	}
}

func TestATenantWithoutATokenIsPassedByUntilItsTime(t *testing.T) {
	q := newQueues(t, Config{Default: sharing()})
	push := func(tenant, class string, values ...int) {
		for _, v := range values {
			if err := q.PushAt(start, tenant, class, v, 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	push("a", "x", 1, 2)
	push("a", "y", 3)
	until := start.Add(200 * time.Millisecond)
	first, _ := q.TryNext(start)
	second, _ := q.TryNext(start)
	for _, j := range []Job[int]{first, second} { // two found out at once
		if !q.ReturnUntil(start, j, until) {
			t.Fatal("it was not taken back")
		}
	}
	push("b", "x", 4)
	var got []int
	drain := func(at time.Time) {
		for j, ok := q.TryNext(at); ok; j, ok = q.TryNext(at) {
			got = append(got, j.Value)
			q.DoneAt(at, j)
		}
	}
	if drain(until.Add(-1)); !slices.Equal(got, []int{4}) {
		t.Errorf("started before its time were %v, want the other's", got)
	}
	st, _ := q.Tenant("a")
	for class, qs := range st.Classes() {
		if qs.Waits != WaitRate || !qs.NotBefore.Equal(until) {
			t.Errorf("class %s waits for %s until %v", class, qs.Waits, qs.NotBefore)
		}
	}
	if st.Cost != defaultCost || st.WorkerTime != 0 || st.Finished != 0 {
		t.Errorf("it was charged: %+v", st)
	}
	if drain(until); !slices.Equal(got, []int{4, 1, 2, 3}) {
		t.Errorf("started in the end were %v", got)
	}
}

func TestWhatIsPutBackForWantOfATokenKeepsItsPlace(t *testing.T) {
	q := newQueues(t, Config{Default: sharing()})
	for v := range 4 {
		if err := q.PushAt(start, "a", "", v, 1); err != nil {
			t.Fatal(err)
		}
	}
	var jobs []Job[int]
	for range 3 {
		j, _ := q.TryNext(start)
		jobs = append(jobs, j)
	}
	at := start.Add(time.Second)
	for _, i := range []int{1, 0, 2} {
		q.ReturnUntil(start, jobs[i], at)
	}
	for want := range 4 {
		if j, ok := q.TryNext(at); !ok || j.Value != want {
			t.Errorf("got %d, want %d", j.Value, want)
		}
	}
	if q.ReturnUntil(at, jobs[0], at) {
		t.Error("a run that has ended was taken back")
	}
}

func TestTheAlarmWakesWhoSleepsWhenASharedRateMayHaveAToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueues(t, Config{Default: sharing()})
		if err := q.Push("a", "", 7, 1); err != nil {
			t.Fatal(err)
		}
		j, err := q.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		q.ReturnUntil(begun, j, begun.Add(time.Second))
		if j, err = q.Next(t.Context()); err != nil || j.Value != 7 || time.Since(begun) != time.Second {
			t.Errorf("got %d, %v after %v", j.Value, err, time.Since(begun))
		}
	})
}

func TestAChangeOfPolicyEndsTheWaitForATokenOfASharedRate(t *testing.T) {
	for name, p := range map[string]Policy{
		"no rate":      {},
		"its own rate": {Rate: Rate{Events: 1, Per: time.Hour}},
		"another rate": {Rate: Rate{Events: 9, Per: time.Second}, SharedRate: true},
	} {
		q := newQueues(t, Config{Default: sharing()})
		if err := q.PushAt(start, "a", "", 7, 1); err != nil {
			t.Fatal(err)
		}
		j, _ := q.TryNext(start)
		q.ReturnUntil(start, j, start.Add(time.Hour))
		if _, ok := q.TryNext(start); ok {
			t.Fatalf("%s: it starts without a token", name)
		}
		if err := q.SetPolicyAt(start, "a", p); err != nil {
			t.Fatal(err)
		}
		if _, ok := q.TryNext(start); !ok {
			t.Errorf("%s: it still waits", name)
		}
	}
}

func TestASharedRateMustBeARate(t *testing.T) {
	_, err := NewQueues[int](Config{Default: Policy{SharedRate: true}})
	if err == nil || !strings.Contains(err.Error(), "Policy.SharedRate is true: must not be without Policy.Rate") {
		t.Error(err)
	}
}
