package consumer

import (
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestATenantMayStoreAsMuchAsIsFree(t *testing.T) {
	const limit = 1000
	for _, c := range []struct {
		name            string
		limit           int64
		used, has, size int64
		pressed, want   bool
	}{
		{"the first, of an empty stream", limit, 0, 0, 10, false, true},
		{"alone, below half", limit, 490, 490, 9, false, true},
		{"alone, past half", limit, 490, 490, 11, false, false},
		{"another, while one has half", limit, 500, 0, 10, false, true},
		{"the second of two, at a third", limit, 666, 333, 1, false, false},
		{"the second of two, below a third", limit, 640, 320, 10, false, true},
		{"pressed, at half", limit, 500, 500, 10, true, true},
		{"pressed, at eight ninths", limit, 889, 889, 10, true, false},
		{"a copy larger than what is free", limit, 995, 0, 10, false, false},
		{"more used than the stream takes", limit, 1100, 0, 1, false, false},
		{"less than nothing, until the next survey", limit, -10, -10, 10, false, true},
		{"no bound", -1, 1 << 40, 1 << 40, 10, false, true},
		{"no bound said", 0, 1 << 40, 1 << 40, 10, false, true},
	} {
		if got := mayStore(c.limit, c.used, c.has, c.size, c.pressed); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestHoweverManyTenantsFloodEachLeavesRoomForTheNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit, size = 1 << 20, 500
		has := make([]int64, rapid.IntRange(1, 6).Draw(t, "tenants"))
		var used int64
		for range rapid.IntRange(1, 30).Draw(t, "bursts") {
			i := rapid.IntRange(0, len(has)-1).Draw(t, "tenant")
			for range rapid.IntRange(1, 3000).Draw(t, "copies") {
				if mayStore(limit, used, has[i], size, false) {
					has[i] += size
					used += size
				}
			}
		}
		free := int64(limit) - used
		for i, n := range has {
			if n > limit/2 {
				t.Fatalf("tenant %d has %d of %d", i, n, limit)
			}
		}
		if least := int64(limit>>len(has)) - size*int64(len(has)); free < least || !mayStore(limit, used, 0, min(size, free/2), false) {
			t.Fatalf("%d tenants leave %d, want at least %d", len(has), free, least)
		}
	})
}

func TestASurveyCorrectsWhatIsCountedAndForgetsNothingThatWasSentMeanwhile(t *testing.T) {
	var v volume
	v.depart(100)
	v.arrive(100, true)
	v.depart(30) // on its way when the survey begins
	v.ask()
	v.depart(7)
	v.leave(20)
	v.correct(500) // of others, and our 100
	if got := v.bytes.Load(); got != 500+30+7-20 {
		t.Errorf("%d bytes, want %d", got, 500+30+7-20)
	}
	v.arrive(30, false)
	v.arrive(7, true)
	if got := v.bytes.Load(); got != 500+7-20 || v.flying != 0 {
		t.Errorf("%d bytes, %d on their way, want %d and none", got, v.flying, 500+7-20)
	}
}

func TestATenantHasOneShareWhateverItsDownstreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		s.maxAway.Store(1)
		s.spillway.limit = 101 * copySize(s.message(1))
		a := s.flow(flowSpilling)
		s.spillway.mu.Lock()
		other := s.spillway.get(flowKey{Downstream: "other", Tenant: a.key.Tenant})
		stranger := s.spillway.get(flowKey{Downstream: a.key.Downstream, Tenant: "b"})
		s.spillway.mu.Unlock()
		d := s.message(1)
		stored := 0
		for ; s.spillway.roomFor(other, d) && stored < 1000; stored++ {
			s.spillway.depart(a, d)
		}
		if stored != 50 || !s.spillway.roomFor(stranger, d) {
			t.Errorf("%d of 100 copies found room in the other overflow of the tenant, want 50; room for another tenant: %v",
				stored, s.spillway.roomFor(stranger, d))
		}
		if _, to, _ := s.spillway.follow(d); to != toDelay {
			t.Errorf("a message of a flow that spills, whose tenant has its share, goes %d, want %d", to, toDelay)
		}
		s.maxAway.Store(0) // too many are handed back
		if _, to, _ := s.spillway.follow(d); to != toOverflow {
			t.Errorf("under pressure it goes %d, want %d", to, toOverflow)
		}
	})
}

func TestAFlowThatReturnsDoesNotSpillAgainWhileItsTenantHasItsShare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		s.maxAway.Store(100)
		f := s.flow(flowReturning)
		for i := uint64(1); len(f.behind) < 1; i++ {
			s.spillway.follow(s.message(i))
		}
		s.spillway.limit = 1
		if _, to, first := s.spillway.follow(s.message(9)); to != toDelay || len(first) > 0 || f.mode != flowReturning || len(f.behind) != 1 {
			t.Errorf("it goes %d, mode %d, %d wait behind", to, f.mode, len(f.behind))
		}
		s.spillway.limit = -1
		if _, to, first := s.spillway.follow(s.message(9)); to != toOverflow || len(first) != 1 || f.mode != flowSpilling {
			t.Errorf("with room it goes %d, %d before it, mode %d", to, len(first), f.mode)
		}
	})
}

func TestALaneWithNothingToDoYieldsAtOnceToAFlowInLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		s.spillway.maxLanes = 1
		var stopped []*lane
		ends := make(map[*lane]func())
		s.spillway.start = func(l *lane, ended func()) func() {
			ends[l] = ended
			return func() { stopped = append(stopped, l) }
		}
		busy := s.flow(flowSpilling)
		s.spillway.serve(busy)
		s.spillway.mu.Lock()
		next := s.spillway.get(flowKey{Downstream: busy.key.Downstream, Tenant: "b"})
		s.spillway.set(next, flowSpilling)
		next.dry = false
		s.spillway.mu.Unlock()
		s.spillway.serve(next)
		if len(stopped) > 0 || next.granted {
			t.Fatal("a lane that has work lost its turn")
		}
		s.spillway.empty(busy, busy.confirmed)
		if len(stopped) != 1 || stopped[0] != busy.lane {
			t.Fatalf("%d lanes were told to end when the first had nothing to do, want its", len(stopped))
		}
		s.spillway.tidy(time.Now().Add(2 * flowIdle))
		s.spillway.grant()
		if len(stopped) != 1 {
			t.Errorf("it was told %d times", len(stopped))
		}
		ends[busy.lane]()
		if !next.granted || busy.granted {
			t.Error("who stood in line has no lane")
		}
		s.spillway.empty(next, next.confirmed)
		s.spillway.mu.Lock()
		s.spillway.set(busy, flowSpilling)
		busy.dry = false
		s.spillway.mu.Unlock()
		if len(stopped) != 1 {
			t.Fatal("a lane was told to end, and nobody stood in line")
		}
		if s.spillway.serve(busy); len(stopped) != 2 || stopped[1] != next.lane {
			t.Errorf("a calm lane did not yield to who came later")
		}
	})
}

func TestALaneThatLacksOnlyBytesWakesWhenThereAreSome(t *testing.T) {
	for _, level := range []string{"own", "overflows", "all"} {
		t.Run(level, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSpiller(t, nil)
				f := s.flow(flowSpilling)
				f.lane = s.newOverflowLane(f)
				b := map[string]*budget{"own": &f.lane.budget, "overflows": &s.spillBudget, "all": &s.shared}[level]
				s.spillway.running[f] = struct{}{}
				_, free := b.own()
				b.reserve(0, free)
				if batch, _ := f.lane.overflowCredit(); batch != 0 {
					t.Fatalf("%d may be asked for", batch)
				}
				for len(f.lane.wakes) > 0 {
					<-f.lane.wakes
				}
				b.release(0, free) // what a request had reserved and did not get
				if len(f.lane.wakes) == 0 {
					t.Fatal("it sleeps until its next tick")
				}
				if batch, _ := f.lane.overflowCredit(); batch == 0 {
					t.Error("it still may ask for nothing")
				}
			})
		})
	}
}

func TestWhatComesBackFromAnOverflowMakesRoomBeforeTheNextSurvey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		s.maxAway.Store(100)
		f := s.flow(flowSpilling)
		d := s.message(1)
		s.spillway.limit = 10 * copySize(d)
		for range 5 {
			if _, to, _ := s.spillway.follow(d); to != toOverflow {
				t.Fatalf("it goes %d", to)
			}
			s.spillway.moved(f, copySize(d), 1)
		}
		if _, to, _ := s.spillway.follow(d); to != toDelay {
			t.Fatalf("with half of the stream it goes %d", to)
		}
		f.lane = s.newOverflowLane(f) // not before: little would be left, and it would return
		back := s.message(2)
		back.lane = f.lane
		s.handBack(back, 0, OutcomeHandBack)
		if _, to, _ := s.spillway.follow(d); to != toDelay {
			t.Error("a copy that was handed back made room")
		}
		back = s.message(3)
		back.lane = f.lane
		s.ack(back, OutcomeAck)
		if _, to, _ := s.spillway.follow(d); to != toOverflow {
			t.Error("a copy that was settled made no room")
		}
	})
}
