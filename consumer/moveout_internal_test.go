package consumer

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestAQueueThatIsMovedOutComesBackInItsOrder(t *testing.T) {
	rear, front := new(flow), new(flow)
	of := func(kind Lane, f *flow, deliveries int) *delivery {
		return &delivery{lane: &lane{kind: kind, flow: f}, msg: Message{Deliveries: deliveries}}
	}
	m, a, r := of(LaneMain, nil, 1), of(LaneRetry, nil, 1), of(LaneOverflow, rear, 1)
	f, often, frontOften := of(LaneOverflow, front, 1), of(LaneOverflow, rear, suspicious), of(LaneOverflow, front, suspicious)
	for _, test := range []struct {
		name  string
		w     whereabouts
		taken []*delivery
		want  []exit
	}{
		{"nothing overflows", whereabouts{}, []*delivery{m, a, m}, []exit{exitShed, exitStay, exitShed}},
		{"what is newer overflows", whereabouts{overflows: true}, []*delivery{m, m}, []exit{exitFront, exitFront}},
		{
			"what comes back is before what is new", whereabouts{},
			[]*delivery{r, r, m}, []exit{exitBack, exitBack, exitShed},
		},
		{
			"what comes back is behind what the main lane brought", whereabouts{},
			[]*delivery{r, m, r, m}, []exit{exitFront, exitFront, exitBack, exitShed},
		},
		{
			"there is more behind", whereabouts{overflows: true},
			[]*delivery{r, m, r}, []exit{exitFront, exitFront, exitBack},
		},
		{
			"what is newer was handed back", whereabouts{overflows: true, rearAway: true},
			[]*delivery{r, a, r}, []exit{exitFront, exitStay, exitFront},
		},
		{
			"one was handed back too often", whereabouts{overflows: true},
			[]*delivery{r, often, r}, []exit{exitFront, exitFront, exitBack},
		},
		{
			"the front comes back first", whereabouts{overflows: true},
			[]*delivery{f, f, r, m}, []exit{exitBack, exitBack, exitFront, exitFront},
		},
		{
			"there is more of the front", whereabouts{overflows: true, frontAway: true},
			[]*delivery{f, f, r}, []exit{exitStay, exitStay, exitBack},
		},
		{
			"one of the front was handed back too often", whereabouts{overflows: true},
			[]*delivery{f, frontOften, r}, []exit{exitStay, exitStay, exitBack},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.w.rear, test.w.front = rear, front
			if got := test.w.exits(test.taken); !slices.Equal(got, test.want) {
				t.Errorf("they go %v, want %v", got, test.want)
			}
		})
	}
}

// The server confirms a copy before the consumers of its stream know of it.
func TestAnOverflowIsNotTakenForEmptyWhileACopyHasNotComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		f := s.flow(flowSpilling)
		f.lane = s.newOverflowLane(f)
		mode := func() flowMode {
			s.spillway.mu.Lock()
			defer s.spillway.mu.Unlock()
			return f.mode
		}
		stores := func(sequence uint64) {
			s.spillway.mu.Lock()
			s.spillway.depart(f, s.message(1))
			s.spillway.mu.Unlock()
			s.spillway.moved(f, copySize(s.message(1)), sequence)
		}
		stores(7)
		s.spillway.empty(f, f.confirmed)
		if mode() == flowCalm {
			t.Fatal("it is, at once")
		}
		if _, reason := s.spillway.room(f); reason != PauseEmpty {
			t.Errorf("its lane asks again at once: %q", reason)
		}
		time.Sleep(unseenAgain)
		if _, reason := s.spillway.room(f); reason == PauseEmpty {
			t.Error("its lane does not ask again")
		}
		back := s.message(7)
		back.lane = f.lane
		s.spillway.arrived(back)
		s.spillway.empty(f, f.confirmed)
		if mode() != flowCalm {
			t.Error("it is not when all has come back")
		}

		stores(8)
		s.spillway.mu.Lock()
		s.spillway.set(f, flowSpilling)
		s.spillway.mu.Unlock()
		time.Sleep(unseenFor)
		s.spillway.empty(f, f.confirmed)
		if mode() != flowCalm {
			t.Error("it is not when another process must have it")
		}
	})
}

func TestNothingOfAnOverflowIsAskedForBeforeItsFrontIsEmpty(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		f := s.flow(flowSpilling)
		f.lane = s.newOverflowLane(f)
		front := s.spillway.toFront(f, []*delivery{s.message(3)})
		if front == nil {
			t.Fatal("it has no front")
		}
		front.lane = s.newOverflowLane(front)
		if _, reason := s.spillway.room(f); reason == "" {
			t.Error("the rest is asked for at once")
		}
		s.spillway.empty(f, f.confirmed) // the answer to what was asked before
		if f.mode == flowCalm || f.dry {
			t.Error("what is new passes it by")
		}
		s.spillway.moved(front, copySize(s.message(3)), 9)
		back := s.message(9)
		back.lane = front.lane
		s.spillway.arrived(back)
		if _, reason := s.spillway.room(f); reason == "" {
			t.Error("the rest is asked for when one came back, and there may be more")
		}
		s.spillway.empty(front, front.confirmed)
		if _, reason := s.spillway.room(f); reason != "" {
			t.Errorf("the rest is not asked for when the front is empty: %s", reason)
		}
	})
}

// queue puts ds into the queue of tenant a, whose downstream is closed.
func (s *spiller) queue(ds ...*delivery) {
	s.Helper()
	for _, d := range ds {
		d.size = 1
		if err := s.queues.PutAt(time.Now(), "a", d.route.Downstream, d, 1); err != nil {
			s.Fatal(err)
		}
	}
	s.queues.SetOpen(ds[0].route.Downstream, false)
}

// out moves the queue of tenant a out, and returns what is left of it.
func (s *spiller) out() (left []uint64) {
	downstream := s.message(1).route.Downstream
	s.moveOut(blockedQueue{tenant: "a", downstream: downstream}, time.Now())
	for _, d := range s.queues.Take("a", downstream) {
		left = append(left, d.source.sequence)
	}
	return left
}

func TestAllOfAQueueStaysIfTheFrontDoesNotTakeAllThatHasToGoThere(t *testing.T) {
	for _, test := range []struct {
		name string
		but  func(s *spiller, ds []*delivery)
	}{
		{"the tenant's share ends halfway", func(s *spiller, ds []*delivery) { s.spillway.limit = 3 * copySize(ds[0]) }},
		{"one cannot be copied", func(s *spiller, ds []*delivery) { ds[1].msg.Data = make([]byte, 1<<20) }},
		{"what came from the front could be handed back", func(s *spiller, ds []*delivery) {
			s.spillway.limit = 1
			s.spillway.mu.Lock()
			front := s.spillway.get(flowKey{Downstream: "default", Tenant: "a", Front: true})
			s.spillway.mu.Unlock()
			front.lane = s.newOverflowLane(front)
			ds[0].lane = front.lane
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSpiller(t, nil)
				defer s.alarms.stop()
				s.flow(flowSpilling)
				ds := []*delivery{s.message(1), s.message(2), s.message(3)}
				test.but(s, ds)
				s.queue(ds...)
				if left, want := s.out(), []uint64{1, 2, 3}; !slices.Equal(left, want) {
					t.Errorf("%v stay, want %v; %v are moved", left, want, s.moving())
				}
			})
		})
	}
}

func TestWhatWaitsBehindAnOverflowThatReturnsIsMovedOutToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		defer s.alarms.stop()
		f := s.flow(flowReturning, s.message(11), s.message(12))
		f.lane = s.newOverflowLane(f)
		s.queue(s.message(1), s.message(2))
		left := s.out()
		if moving, want := s.moving(), []uint64{1, 2, 11, 12}; !slices.Equal(moving, want) || len(left) > 0 {
			t.Errorf("%v are moved, want %v; %v stay", moving, want, left)
		}
	})
}

// As after a deploy that names the downstream of a route anew.
func TestWhatCameFromTheOverflowOfAnotherQueueGoesBackThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		defer s.alarms.stop()
		s.spillway.mu.Lock()
		other := s.spillway.get(flowKey{Downstream: "old", Tenant: "a"})
		s.spillway.mu.Unlock()
		other.lane = s.newOverflowLane(other)
		d := s.message(1)
		d.lane = other.lane
		s.queue(d)
		if left := s.out(); len(left) > 0 || !d.settled.Load() {
			t.Errorf("%v stay", left)
		}
		if other.dry || other.mode != flowSpilling {
			t.Error("its flow does not know")
		}
	})
}

func TestAStreamOfOverflowThatIsMadeAgainBeginsWithoutMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		defer s.alarms.stop()
		f := s.flow(flowSpilling)
		f.lane = s.newOverflowLane(f)
		back := s.message(500)
		back.lane = f.lane
		s.spillway.arrived(back)
		s.keeper.incarnation(f.lane.stream, time.Now())
		s.keeper.incarnation(f.lane.stream, time.Now().Add(time.Second))
		s.spillway.mu.Lock()
		s.spillway.depart(f, s.message(1))
		s.spillway.mu.Unlock()
		s.spillway.moved(f, copySize(s.message(1)), 1)
		s.spillway.empty(f, f.confirmed)
		if f.mode == flowCalm {
			t.Error("it is taken for empty while its first copy has not come back")
		}
	})
}
