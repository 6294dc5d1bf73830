package consumer

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// teller is a Consumer that does not run, with a delivery of its main lane, and what the
// server gets to hear of that.
type teller struct {
	*testing.T
	c     *Consumer
	d     *delivery
	heard *nats.Subscription
}

func newTeller(t *testing.T) *teller {
	t.Helper()
	js := consumertest.NewServer(t).JetStream(t)
	c, err := New(js, Config{Stream: "JOBS", Durable: "worker", Tenant: SubjectToken(2)},
		HandlerFunc(func(context.Context, *Message) error { return nil }))
	if err != nil {
		t.Fatal(err)
	}
	heard, err := c.nc.SubscribeSync("heard")
	if err != nil {
		t.Fatal(err)
	}
	d := &delivery{lane: c.lanes[0], size: 100, source: source{sequence: 7}}
	d.lane.budget.reserve(1, 100)
	c.leases.add(d, "heard", time.Now())
	c.held.Add(1)
	return &teller{T: t, c: c, d: d, heard: heard}
}

// want compares what was heard.
func (t *teller) want(wire ...string) {
	t.Helper()
	if err := t.c.nc.Flush(); err != nil {
		t.Fatal(err)
	}
	var got []string
	for {
		n, _, err := t.heard.Pending()
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
		m, err := t.heard.NextMsg(time.Second)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(m.Data))
	}
	if !slices.Equal(got, wire) {
		t.Errorf("the server heard %q, want %q", got, wire)
	}
}

// run posts what is in the outbox, and returns when all is told.
func (t *teller) run() {
	t.c.outbox.close()
	t.c.post()
}

func (t *teller) extension() note {
	return note{d: t.d, verb: verbExtend, lease: t.d.lease, receipt: new(receipt)}
}

func TestAnExtensionIsNeverSentBehindTheHandBackThatItWouldUndo(t *testing.T) {
	s := newTeller(t)
	late := s.extension() // looked at the lease before the settlement
	s.c.handBack(s.d, time.Second, OutcomeHandBack)
	s.c.outbox.put(late)
	s.run()
	s.want(`-NAK {"delay":1000000000}`)
}

func TestAnExtensionIsSentWhileTheMessageIsHeld(t *testing.T) {
	s := newTeller(t)
	s.c.outbox.put(s.extension())
	s.run()
	s.want("+WPI")
	if got := s.c.held.Load(); got != 1 {
		t.Errorf("%d held after an extension, want 1", got)
	}
}

func TestASettlementCountsOnceAndFreesTheBudgetWhenItWasSent(t *testing.T) {
	s := newTeller(t)
	s.c.ack(s.d, OutcomeAck)
	s.c.handBack(s.d, time.Second, OutcomeHandBack)
	if free, _ := s.d.lane.budget.free(); free != s.d.lane.budget.maxMessages-1 {
		t.Errorf("%d of %d free before the ack was sent", free, s.d.lane.budget.maxMessages)
	}
	s.run()
	s.want("+ACK")
	free, bytes := s.d.lane.budget.free()
	if free != s.d.lane.budget.maxMessages || bytes != s.d.lane.budget.maxBytes || s.c.held.Load() != 0 {
		t.Errorf("%d messages and %d bytes are free, %d held", free, bytes, s.c.held.Load())
	}
}

func TestAHandBackIsNotSentOnceTheLeaseIsLostAndAnAckIs(t *testing.T) {
	for _, tc := range []struct {
		name   string
		settle func(c *Consumer, d *delivery)
		want   []string
	}{
		{"hand-back", func(c *Consumer, d *delivery) { c.handBack(d, time.Second, OutcomeRetry) }, nil},
		{"ack", func(c *Consumer, d *delivery) { c.ack(d, OutcomeAck) }, []string{"+ACK"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTeller(t)
			s.d.lease.start = time.Now().Add(-s.c.cfg.AckWait)
			tc.settle(s.c, s.d)
			s.run()
			s.want(tc.want...)
		})
	}
}

func TestAHandBackIsNotKeptForTheReconnect(t *testing.T) {
	s := newTeller(t)
	n := note{d: s.d, verb: verbNak, outcome: OutcomeHandBack, delay: time.Second}
	s.c.leases.settle([]note{n}, time.Now())
	(&poster{Consumer: s.c}).send(&n, false)
	s.want()
}

// A lane that finds nobody to ask may have lost its consumer, or that has no leader for a
// moment.
func TestWhatIsSettledWhileALaneHasNoConsumerIsToldIfThatComesBack(t *testing.T) {
	ack := func(s *teller) { s.c.ack(s.d, OutcomeAck) }
	handBack := func(s *teller) { s.c.handBack(s.d, time.Second, OutcomeRetry) }
	for _, tc := range []struct {
		name   string
		settle func(s *teller)
		then   func(s *teller) // before the decision
		same   bool
		want   []string
	}{
		{"an ack", ack, nil, true, []string{"+ACK"}},
		{"an ack, with another consumer", ack, nil, false, nil},
		{"an ack of a stream that was made again", ack, func(s *teller) { s.c.leases.void(s.d.lane.stream, time.Now()) }, true, nil},
		{"an ack whose lease was lost", ack, func(s *teller) { s.d.lease.start = time.Now().Add(-s.c.cfg.AckWait) }, true, []string{"+ACK"}},
		{"a hand-back", handBack, nil, true, []string{`-NAK {"delay":1000000000}`}},
		{"a hand-back whose lease was lost", handBack, func(s *teller) { s.d.lease.start = time.Now().Add(-s.c.cfg.AckWait) }, true, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newTeller(t)
			p := &poster{Consumer: s.c}
			tell := func() {
				notes, _ := s.c.outbox.take(nil)
				p.tell(notes)
			}
			s.d.lane.suspended.Store(true)
			tc.settle(s)
			tell()
			s.want()
			if free, _ := s.d.lane.budget.free(); s.c.held.Load() != 1 || free != s.d.lane.budget.maxMessages-1 {
				t.Errorf("while it is kept %d are held, %d of %d free", s.c.held.Load(), free, s.d.lane.budget.maxMessages)
			}
			if tc.then != nil {
				tc.then(s)
			}
			s.d.lane.resume(tc.same)
			tell()
			s.want(tc.want...)
			if free, _ := s.d.lane.budget.free(); s.c.held.Load() != 0 || free != s.d.lane.budget.maxMessages {
				t.Errorf("after it was told %d are held, %d of %d free", s.c.held.Load(), free, s.d.lane.budget.maxMessages)
			}
		})
	}
}

func TestASettlementThatIsKeptIsNotTakenForExtended(t *testing.T) {
	s := newTeller(t)
	start := time.Now().Add(-s.c.cfg.AckWait / 2)
	s.d.lease.start = start
	late := s.c.leases.due(time.Now())
	s.c.ack(s.d, OutcomeAck)
	s.c.leases.extend(late, time.Now())
	if due := s.c.leases.due(time.Now()); len(late) != 1 || len(due) != 0 || !s.d.lease.start.Equal(start) {
		t.Errorf("%d due before, %d after; the lease began %v later", len(late), len(due), s.d.lease.start.Sub(start))
	}
}

func TestASettlementAfterTheRunIsSentAtOnce(t *testing.T) {
	s := newTeller(t)
	s.run()
	s.c.ack(s.d, OutcomeAck) // a handler that outlived Run
	s.want("+ACK")
}

func TestGatheringEndsWithEnoughNotesOrItsTimeOrTheOutbox(t *testing.T) {
	const enough = 3
	for _, test := range []struct {
		name  string
		while func(o *outbox) // it gathers
		takes time.Duration
	}{
		{"no more come", func(*outbox) {}, gatherFor},
		{"too few come", func(o *outbox) { o.put(note{}); o.put(note{}) }, gatherFor},
		{"enough come", func(o *outbox) { o.put(note{}, note{}); o.put(note{}, note{}) }, 0},
		{"somebody wants them", func(o *outbox) { o.hurry() }, 0},
		{"it is closed", func(o *outbox) { o.close() }, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, timer := newOutbox(), time.NewTimer(gatherFor)
				o.put(note{}) // leaves a wake-up that is for what is taken here
				o.take(nil)
				began, ended := time.Now(), make(chan time.Duration)
				go func() {
					o.gather(enough, nobody, timer)
					ended <- time.Since(began)
				}()
				synctest.Wait()
				test.while(&o)
				if took := <-ended; took != test.takes {
					t.Errorf("it gathered for %v, want %v", took, test.takes)
				}
				o.take(nil)
				if !o.put(note{}) {
					return // it was closed
				}
				select {
				case <-o.wake:
				default:
					t.Error("afterwards one note wakes nobody")
				}
			})
		})
	}
}

// nobody wants notes.
func nobody() bool { return false }

func TestNobodyWaitsForNotesThatAreThereAlreadyOrWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, began := newOutbox(), time.Now()
		o.put(note{}, note{}, note{})
		o.gather(4, func() bool { return true }, time.NewTimer(gatherFor))
		o.gather(3, nobody, time.NewTimer(gatherFor))
		o.close()
		o.gather(4, nobody, time.NewTimer(gatherFor))
		if took := time.Since(began); took != 0 {
			t.Errorf("it gathered for %v", took)
		}
	})
}
