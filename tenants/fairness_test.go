package tenants

import (
	"fmt"
	"math"
	"testing"
	"time"
)

func TestWorkerTimeIsSharedByWeight(t *testing.T) {
	weights := map[string]float64{"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
	s := newSim(t, 3, Config{PolicyFor: func(name string, p *Policy) { p.Weight = weights[name] }})
	for name := range weights {
		s.feed(name, "", always(10*time.Millisecond))
	}
	s.run(5000 * 10 * time.Millisecond / 3)
	total := 0
	for _, n := range s.started {
		total += n
	}
	for name, w := range weights {
		want := float64(total) * w / 15
		if got := float64(s.started[name]); math.Abs(got-want) > want/100 {
			t.Errorf("tenant %s, weight %v, was started %v of %d times, want %.0f within 1%%", name, w, got, total, want)
		}
	}
}

func TestEqualWorkIsRoundRobin(t *testing.T) {
	s := newSim(t, 1, Config{})
	for _, name := range []string{"a", "b", "c"} {
		s.feed(name, "", always(time.Millisecond))
	}
	s.run(30 * time.Millisecond)
	for i := 3; i < len(s.trace); i++ {
		if s.trace[i] != s.trace[i-3] {
			t.Fatalf("start %d is of %s, the one a round before of %s", i, s.trace[i], s.trace[i-3])
		}
	}
}

func TestATenantOfExpensiveWorkGetsNoMoreTimeThanOneOfCheap(t *testing.T) {
	for _, workers := range []int{1, 4, 16} {
		t.Run(fmt.Sprint(workers, " workers"), func(t *testing.T) {
			s := newSim(t, workers, Config{})
			s.feed("cheap", "", always(time.Millisecond))
			s.feed("dear", "", always(100*time.Millisecond))
			s.feedMore("cheap", 2*workers)
			s.feedMore("dear", 2*workers)
			s.run(20 * time.Second)
			if j := jain(float64(s.received("cheap")), float64(s.received("dear"))); j < 0.99 {
				t.Errorf("Jain index %.4f (cheap %v, dear %v), want at least 0.99", j, s.received("cheap"), s.received("dear"))
			}
		})
	}
}

// feedMore deepens the backlog, so that all workers together cannot empty it.
func (s *sim) feedMore(tenant string, n int) {
	for range n {
		s.push(tenant, "")
	}
}

func TestARunThatNeverEndsIsChargedWhileItRuns(t *testing.T) {
	s := newSim(t, 2, Config{})
	s.feed("stuck", "", always(time.Hour))
	s.feed("quick", "", always(time.Millisecond))
	s.run(10 * time.Second)
	if n := s.started["stuck"]; n > 1 {
		t.Errorf("the stuck tenant was started %d times, want once: it has a worker all the time", n)
	}
	if n := s.started["quick"]; n < 9990 {
		t.Errorf("the quick tenant was started %d times, want all there was time for", n)
	}
}

func TestIdlenessEarnsNoCredit(t *testing.T) {
	s := newSim(t, 1, Config{})
	s.feed("busy", "", always(10*time.Millisecond))
	s.push("idler", "")
	s.cost["idler"] = always(10 * time.Millisecond)
	s.run(time.Second)
	drain(s, "idler")
	s.run(10 * time.Minute)
	s.started = map[string]int{}
	s.feed("idler", "", always(10*time.Millisecond))
	s.run(time.Second)
	if a, b := s.started["busy"], s.started["idler"]; a < b-2 || b < a-2 {
		t.Errorf("after ten idle minutes the idler was started %d times beside %d, want as often", b, a)
	}
}

// drain makes a tenant stop: what is queued of it is taken away.
func drain(s *sim, tenant string) {
	s.t.Helper()
	t := s.q.s.tenants[tenant]
	for _, qu := range t.queues {
		for l := s.q.list(qu); l.head != nil; {
			n := l.pop()
			s.q.s.remove(s.q.now, qu, n.size, 0)
		}
	}
	if t.idle() {
		s.q.s.rest(s.q.now, t)
	}
}

func TestDebtSurvivesIdleness(t *testing.T) {
	s := newSim(t, 1, Config{Forget: time.Millisecond})
	s.feed("busy", "", always(time.Millisecond))
	s.cost["glutton"] = always(time.Second)
	if err := s.q.PushAt(s.now, "glutton", "", 0, 1); err != nil {
		t.Fatal(err)
	}
	s.run(1100 * time.Millisecond)
	drain(s, "glutton")
	s.run(100 * time.Millisecond)
	s.started = map[string]int{}
	s.feed("glutton", "", always(time.Second))
	s.run(500 * time.Millisecond)
	if n := s.started["glutton"]; n != 0 {
		t.Errorf("the glutton was started %d times, want none: it owes 800 ms of its second", n)
	}
	s.run(time.Second)
	if n := s.started["glutton"]; n != 1 {
		t.Errorf("the glutton was started %d times, want once: its debt is paid", n)
	}
}

func TestAClosedClassEarnsNothing(t *testing.T) {
	s := newSim(t, 1, Config{})
	s.feed("open", "x", always(10*time.Millisecond))
	s.feed("shut", "y", always(10*time.Millisecond))
	s.run(time.Second)
	s.q.SetOpen("y", false)
	s.run(10 * time.Millisecond)
	n := s.started["shut"]
	s.run(10 * time.Minute)
	if s.started["shut"] != n {
		t.Fatalf("started %d times while its class was closed", s.started["shut"]-n)
	}
	s.q.SetOpen("y", true)
	s.started = map[string]int{}
	s.run(time.Second)
	if a, b := s.started["open"], s.started["shut"]; a < b-2 || b < a-2 {
		t.Errorf("after ten closed minutes started %d times beside %d, want as often", b, a)
	}
}

func TestATenantWithAStaleTagInAClosedClassEarnsNothingInAnOpenOne(t *testing.T) {
	s := newSim(t, 1, Config{})
	s.q.SetOpen("shut", false)
	s.feed("both", "shut", always(10*time.Millisecond))
	s.feed("busy", "open", always(10*time.Millisecond))
	s.run(10 * time.Minute)
	s.started = map[string]int{}
	s.feed("both", "open", always(10*time.Millisecond))
	s.run(time.Second)
	if a, b := s.started["busy"], s.started["both"]; a < b-2 || b < a-2 {
		t.Errorf("started %d times beside %d, want as often", b, a)
	}
}

// As one does whose downstream has permits: tenants whose runs vary must not lose what
// they are given back.
func TestAClassThatClosesWheneverItsPermitsRunOutLosesNothing(t *testing.T) {
	for _, others := range []bool{false, true} {
		t.Run(fmt.Sprint("others ", others), func(t *testing.T) {
			s := newSim(t, 8, Config{})
			s.permits = map[string]int{"c": 4}
			turn := 0
			s.feed("steady", "c", always(10*time.Millisecond))
			s.feed("varied", "c", func() time.Duration {
				if turn++; turn%10 == 0 {
					return 91 * time.Millisecond
				}
				return time.Millisecond
			})
			s.feedMoreIn("steady", "c", 8)
			s.feedMoreIn("varied", "c", 8)
			if others {
				s.feed("other", "d", always(10*time.Millisecond))
				s.feedMoreIn("other", "d", 8)
			}
			s.run(time.Minute)
			a, b := s.received("steady"), s.received("varied")
			if j := jain(float64(a), float64(b)); j < 0.999 {
				t.Errorf("Jain index %.4f (steady %v, varied %v), want at least 0.999", j, a, b)
			}
		})
	}
}

func (s *sim) feedMoreIn(tenant, class string, n int) {
	for range n {
		s.push(tenant, class)
	}
}

func TestANewWeightAppliesFromTheNextCharge(t *testing.T) {
	s := newSim(t, 1, Config{})
	s.feed("a", "", always(time.Millisecond))
	s.feed("b", "", always(time.Millisecond))
	s.run(time.Second)
	if err := s.q.SetPolicy("a", Policy{Weight: 3}); err != nil {
		t.Fatal(err)
	}
	s.started = map[string]int{}
	s.run(4 * time.Second)
	if a, b := s.started["a"], s.started["b"]; math.Abs(float64(a)/float64(b)-3) > 0.03 {
		t.Errorf("started %d and %d times, want 3:1", a, b)
	}
}

func TestAWeightChangedDuringARunLeavesNoCredit(t *testing.T) {
	q := newQueues(t, Config{Cost: time.Hour})
	for range 2 {
		if err := q.PushAt(start, "a", "", 0, 1); err != nil {
			t.Fatal(err)
		}
	}
	j, _ := q.TryNext(start)
	if err := q.SetPolicy("a", Policy{Weight: 0.001}); err != nil {
		t.Fatal(err)
	}
	q.DoneAt(start.Add(time.Millisecond), j)
	if f, want := q.s.tenants["a"].tag, float64(time.Millisecond); f != want {
		t.Errorf("F is %v, want %v: charge and correction at the weight of the start", f, want)
	}
}

func TestMovingTheOriginOfVirtualTimeCannotBeSeen(t *testing.T) {
	play := func(rebaseAt float64) []string {
		s := newSim(t, 3, Config{})
		s.q.s.rebaseAt = rebaseAt
		for i, name := range []string{"a", "b", "c", "d", "e"} {
			s.feed(name, "x", always(time.Duration(i+1)*time.Millisecond))
			s.feedMoreIn(name, "y", 3)
		}
		for i := range 40 {
			s.q.SetOpen("y", i%3 != 0)
			s.run(100 * time.Millisecond)
		}
		return s.trace
	}
	want, got := play(rebaseAt), play(float64(10*time.Millisecond))
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Error("the order of starts differs")
	}
}

func TestServiceTimesThatMakeNoSenseDoNoHarm(t *testing.T) {
	q := newQueues(t, Config{})
	ends := []time.Time{start, start.Add(-time.Hour), start.Add(1 << 62), {}, start.Add(time.Second)}
	for i := range 50 {
		if err := q.PushAt(start, "a", "", i, 1); err != nil {
			t.Fatal(err)
		}
		j, ok := q.TryNext(start)
		if !ok || j.Value != i {
			t.Fatalf("got item %d, %v, want %d", j.Value, ok, i)
		}
		q.DoneAt(ends[i%len(ends)], j)
		if f := q.s.tenants["a"].tag; math.IsNaN(f) || math.IsInf(f, 0) {
			t.Fatalf("F is %v after %v", f, ends[i%len(ends)])
		}
	}
}
