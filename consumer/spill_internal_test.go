package consumer

import (
	"context"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// spiller is a Consumer that does not run, so that a test can have things happen at any
// moment.
type spiller struct {
	*testing.T
	*Consumer
}

func newSpiller(t *testing.T, policyFor func(tenant string, p *TenantPolicy)) *spiller {
	t.Helper()
	c, err := New(consumertest.NewServer(t).JetStream(t), Config{
		Stream: "JOBS", Durable: "w", Tenant: SubjectToken(2),
		Tenants: TenantPolicy{Queue: 1}, PolicyFor: policyFor,
	}, HandlerFunc(func(context.Context, *Message) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	c.maxPayload.Store(1 << 20)
	return &spiller{t, c}
}

// message is one of tenant a that the main lane has received.
func (s *spiller) message(sequence uint64) *delivery {
	return &delivery{
		lane: s.lanes[0], route: s.mux.match("jobs.a.x"), source: source{sequence: sequence},
		msg: Message{Tenant: "a", Subject: "jobs.a.x", Stream: "JOBS", Sequence: sequence},
	}
}

// flow is that of tenant a, in a mode.
func (s *spiller) flow(mode flowMode, behind ...*delivery) *flow {
	s.spillway.mu.Lock()
	defer s.spillway.mu.Unlock()
	f := s.spillway.get(s.flowKeyOf(s.message(1)))
	s.spillway.set(f, mode)
	f.dry = false
	for _, d := range behind {
		s.spillway.wait(f, d)
	}
	return f
}

// moving are the sequences of what the mover has, in its order.
func (s *spiller) moving() (sequences []uint64) {
	for _, m := range s.mover.waiting {
		sequences = append(sequences, m.d.source.sequence)
	}
	return sequences
}

func TestWhatComesWhileAFlowIsReleasedStaysBehindIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *spiller
		came := false
		s = newSpiller(t, func(string, *TenantPolicy) { // called while the first is queued
			if s == nil || came {
				return
			}
			came = true
			for seq := range uint64(3) {
				if !s.followed(s.message(10 + seq)) {
					t.Errorf("message %d passed those before it", 10+seq)
				}
			}
		})
		f := s.flow(flowReturning, s.message(1), s.message(2), s.message(3))
		s.spillway.release(f)
		if got, want := s.moving(), []uint64{2, 3, 10, 11, 12}; !came || !slices.Equal(got, want) {
			t.Errorf("moved %v, want %v", got, want)
		}
		if f.mode != flowSpilling || f.unconfirmed != 5 || len(f.behind) > 0 || f.releasing {
			t.Errorf("the flow is %+v", f)
		}
	})
}

func TestAFlowThatLosesItsTurnKeepsNoPlacesOfTheMainLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		f := s.flow(flowReturning, s.message(1), s.message(2))
		s.spillway.start = func(*lane, func()) func() { return func() {} }
		s.spillway.serve(f)
		s.spillway.ended(f)
		if got, want := s.moving(), []uint64{1, 2}; !slices.Equal(got, want) || f.mode != flowSpilling {
			t.Errorf("moved %v in mode %d, want %v", got, f.mode, want)
		}
	})
}

func TestAFlowIsNotForgottenBetweenTheQuestionForItsPolicyAndItsBeginning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s *spiller
		s = newSpiller(t, func(string, *TenantPolicy) {
			if s != nil {
				s.spillway.tidy(time.Now().Add(2 * flowIdle))
			}
		})
		d := s.message(1)
		f, _ := s.spillway.begin(d, true)
		if f == nil || s.spillway.flows[s.flowKeyOf(d)] != f {
			t.Error("the flow that spills is not the one that is known")
		}
	})
}

func TestALateAnswerDoesNotMakeAnOverflowEmptyThatHasCopiesSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		f := s.flow(flowSpilling)
		f.lane = s.newOverflowLane(f)
		l := f.lane
		if err := l.open(); err != nil {
			t.Fatal(err)
		}
		defer l.close()
		now := time.Now()
		l.budget.reserve(10, 1000)
		l.send(&l.slots[0], 10, 1000, now)
		late := &nats.Msg{
			Subject: l.slots[0].inbox + strconv.FormatUint(l.slots[0].number, 10),
			Header:  nats.Header{"Status": {"404"}, "Description": {"No Messages"}},
		}
		l.drop(&l.slots[0], now)
		f.confirmed++
		l.budget.reserve(10, 1000)
		l.send(&l.slots[0], 10, 1000, now)
		l.status(&l.dropped[0].slot, late, now)
		if f.mode == flowCalm {
			t.Error("a copy was confirmed since, and the flow is calm")
		}
	})
}

func TestALaneThatHasRoomForgetsNobodyElseWhoWaits(t *testing.T) {
	woken := 0
	b := budget{maxMessages: 100, maxBytes: 1000, wake: func() { woken++ }}
	b.reserve(90, 0)
	if !b.await(50) {
		t.Fatal("50 are free of 10")
	}
	if b.await(5) {
		t.Fatal("5 are not free of 10")
	}
	if b.release(60, 0); woken == 0 {
		t.Error("who waited for 50 was not woken")
	}
	b.reserve(60, 0)
	woken = 0
	if !b.await(20) || !b.await(70) {
		t.Fatal("neither is free")
	}
	if b.release(30, 0); woken != 1 {
		t.Errorf("woken %d times when there is room for the first of two, want once", woken)
	}
}

func TestWhatWaitsForTheWindowGoesOnWhenWhatWasInFlightCannotBePublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		if err := s.mover.open(); err != nil {
			t.Fatal(err)
		}
		ended := make(map[string]bool)
		end := func(name string) func(error) { return func(error) { ended[name] = true } }
		s.mover.inFlight[1] = &move{d: s.message(1), subject: "x", token: 1, done: end("large"), data: make([]byte, s.nc.MaxPayload()+1), due: time.Now()}
		s.mover.waiting = []*move{{d: s.message(2), subject: "nobody.there", done: end("next")}}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); s.mover.run(ctx) }()
		time.Sleep(time.Second)
		cancel()
		<-done
		if !ended["large"] || !ended["next"] {
			t.Errorf("ended: %v", ended)
		}
	})
}

func TestLanesThatCannotBeOpenedAreNotTriedInAHotLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		s.flow(flowSpilling)
		s.nc.Close()
		ctx, cancel := context.WithCancel(t.Context())
		tries := 0
		s.spillway.open(func(l *lane, ended func()) func() {
			if tries++; tries > 100 {
				return func() {}
			}
			go func() { defer ended(); s.runOverflow(ctx, l) }()
			return func() {}
		})
		time.Sleep(time.Minute)
		s.spillway.close()
		cancel()
		synctest.Wait()
		if tries < 2 || tries > 20 {
			t.Errorf("%d tries in a minute", tries)
		}
	})
}

func TestFlowsThatWaitForTheirTurnKeepNoLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		f := s.flow(flowSpilling)
		s.spillway.start = func(*lane, func()) func() { return func() {} }
		lanes := len(s.leases.lanes)
		s.spillway.serve(f)
		l := f.lane
		l.state.pending.Store(7)
		s.spillway.maxLanes = 0 // others have all of them
		s.spillway.ended(f)
		d := s.message(1)
		d.lane = l
		s.leases.add(d, "reply", time.Now())
		if s.spillway.tidy(time.Now()); f.lane != l {
			t.Fatal("the lane was forgotten while a message of it is held")
		}
		l.held.remove(d)
		if s.spillway.tidy(time.Now()); f.lane != nil || len(s.leases.lanes) != lanes || f.stored != 7 {
			t.Errorf("lane %v, %d lanes of leases, want %d, %d stored", f.lane, len(s.leases.lanes), lanes, f.stored)
		}
	})
}

func TestWhatALaneThatEndedHoldsIsVoidWhenItsStreamIsMadeAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSpiller(t, nil)
		f := s.flow(flowSpilling)
		f.lane = s.newOverflowLane(f)
		d := s.message(1)
		d.lane = f.lane
		s.leases.add(d, "reply", time.Now())
		s.keeper.incarnation(f.lane.stream, time.Now())
		s.keeper.incarnation(f.lane.stream, time.Now().Add(time.Second))
		if !d.lease.void {
			t.Error("it would settle another message that has its sequence now")
		}
	})
}
