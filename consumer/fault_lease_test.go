package consumer_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer"
)

// settlements is what clients send to the acknowledgement subjects of a durable.
type settlements struct {
	mu   sync.Mutex
	sent []string // "+ACK", "-NAK {…}", "+WPI", …
}

func (r *rig) watchSettlements(stream string) *settlements {
	r.t.Helper()
	s := new(settlements)
	nc := r.Conn(r.t)
	_, err := nc.Subscribe("$JS.ACK."+stream+".>", func(m *nats.Msg) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sent = append(s.sent, string(m.Data))
	})
	if err := errors.Join(err, nc.Flush()); err != nil {
		r.t.Fatal(err)
	}
	return s
}

func (s *settlements) count(prefix string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, sent := range s.sent {
		if strings.HasPrefix(sent, prefix) {
			n++
		}
	}
	return n
}

func TestAHandlerMayRunFarLongerThanAckWaitAndMessagesMayWaitAsLong(t *testing.T) {
	for _, ackWait := range []time.Duration{time.Second, 30 * time.Second} {
		t.Run(ackWait.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				l := newLedger(func(context.Context, *consumer.Message) error {
					time.Sleep(5 * ackWait)
					return nil
				})
				cfg := config(t, func(cfg *consumer.Config) { cfg.AckWait, cfg.Workers = ackWait, 2 })
				ids := r.publishMany("m", 8, 0) // the last two wait for 15 AckWaits
				p := r.process(cfg, l)
				other := r.process(cfg, l) // would get whatever is redelivered
				time.Sleep(25 * ackWait)
				l.wantEach(t, ids, 1, 1)
				if n := p.lane(consumer.LaneMain).Redelivered + other.lane(consumer.LaneMain).Redelivered; n != 0 {
					t.Errorf("%d redeliveries", n)
				}
				if n := p.c.Snapshot().LeasesLost; n != 0 {
					t.Errorf("%d leases were lost", n)
				}
				if n := r.ackPending("JOBS", "w"); n != 0 {
					t.Errorf("%d are unacknowledged", n)
				}
			})
		})
	}
}

// While a connection is cut for longer than AckWait, somebody else gets the messages:
// handlers are told before that, failures are not handed back, successes are still
// acknowledged.
func TestALostLeaseEndsTheHandlerAndOnlyItsSuccessIsSettled(t *testing.T) {
	const ackWait = 10 * time.Second
	for _, tt := range []struct {
		name    string
		succeed bool
	}{{"failure", false}, {"success", true}} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				sent := r.watchSettlements("JOBS")
				network := newLink(r.Server)
				var mu sync.Mutex
				var causes []error
				var ended []time.Time
				p := r.process(config(t, func(cfg *consumer.Config) { cfg.AckWait = ackWait; cfg.Workers = 4 }),
					consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
						if m.Deliveries > 1 {
							return nil
						}
						<-ctx.Done()
						mu.Lock()
						causes, ended = append(causes, context.Cause(ctx)), append(ended, time.Now())
						mu.Unlock()
						time.Sleep(3 * ackWait) // it takes its time to stop: the connection is back by then
						if tt.succeed {
							return nil
						}
						return ctx.Err()
					}), nats.InProcessServer(network))
				time.Sleep(time.Second)
				r.publishMany("m", 4, 0)
				time.Sleep(3 * ackWait)
				network.cut()
				cut := time.Now()
				// Another process gets them, and keeps them.
				g := newGate(t)
				var taken time.Time
				other := newLedger(func(ctx context.Context, m *consumer.Message) error {
					mu.Lock()
					if taken.IsZero() {
						taken = time.Now()
					}
					mu.Unlock()
					return g.waitOrEnd(ctx, m)
				})
				taker := r.process(config(t, func(cfg *consumer.Config) { cfg.AckWait = ackWait; cfg.Workers = 4 }), other)
				time.Sleep(2 * ackWait)
				network.heal()
				time.Sleep(2 * ackWait)
				mu.Lock()
				defer mu.Unlock()
				if len(causes) != 4 {
					t.Fatalf("%d handlers were told, want 4", len(causes))
				}
				for i := range causes {
					if !errors.Is(causes[i], consumer.ErrLeaseLost) {
						t.Errorf("the cause is %v", causes[i])
					}
					if !ended[i].Before(taken) {
						t.Errorf("a handler was told %v after the cut; somebody else has its message since %v", ended[i].Sub(cut), taken.Sub(cut))
					}
				}
				if n := other.handled(); n != 4 {
					t.Errorf("the other process got %d", n)
				}
				if n := sent.count("-NAK"); n != 0 {
					t.Errorf("%d lost messages were handed back", n)
				}
				wantAcks := 0
				if tt.succeed {
					wantAcks = 4
				}
				if n := sent.count("+ACK"); n != wantAcks {
					t.Errorf("%d acknowledgements, want %d", n, wantAcks)
				}
				if n := p.c.Snapshot().LeasesLost; n != 4 {
					t.Errorf("%d leases lost, want 4", n)
				}
				g.release()
				time.Sleep(time.Second)
				if err := errors.Join(p.stop(), taker.stop()); err != nil {
					t.Error(err)
				}
				if n := r.ackPending("JOBS", "w"); n != 0 {
					t.Errorf("%d are unacknowledged", n)
				}
			})
		})
	}
}

// The server gives a message out again while this process, alone, still has it.
func TestARedeliveryOfAHeldMessageDoesNotRunBesideIt(t *testing.T) {
	for _, running := range []bool{true, false} {
		t.Run(map[bool]string{true: "running", false: "waiting"}[running], func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				const ackWait = 5 * time.Second
				r := newRig(t)
				network := newLink(r.Server)
				g := newGate(t)
				l := newLedger(g.wait) // deaf to its context
				workers := 1
				if running {
					workers = 8
				}
				p := r.process(config(t, func(cfg *consumer.Config) { cfg.AckWait, cfg.Workers = ackWait, workers }), l,
					nats.InProcessServer(network))
				ids := r.publishMany("m", 8, 0)
				time.Sleep(time.Second)
				for range 3 {
					network.cut()
					time.Sleep(2 * ackWait)
					network.heal()
					time.Sleep(2 * ackWait)
				}
				if p.lane(consumer.LaneMain).Redelivered == 0 {
					t.Fatal("nothing was redelivered: this tests nothing")
				}
				if held := p.c.Snapshot().Held; held != len(ids) {
					t.Errorf("%d are held, want %d", held, len(ids))
				}
				g.release()
				eventually(t, time.Minute, "all are handled and settled", func() bool { return l.handled() == len(ids) && r.settled() })
				if err := p.stop(); err != nil {
					t.Error(err)
				}
				l.wantEach(t, ids, 1, 1)
			})
		})
	}
}

// What expired in the hands of a process that was cut off for long is not run by it
// afterwards as well.
func TestWhatWasLostWhileItWaitedIsNotRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const ackWait = 5 * time.Second
		r := newRig(t)
		network := newLink(r.Server)
		g := newGate(t)
		cfg := config(t, func(cfg *consumer.Config) { cfg.AckWait, cfg.Workers = ackWait, 1 })
		mine, theirs := newLedger(g.wait), newLedger(nil)
		p := r.process(cfg, mine, nats.InProcessServer(network))
		ids := r.publishMany("m", 20, 0)
		time.Sleep(time.Second)
		network.cut()
		other := r.process(cfg, theirs)
		time.Sleep(3 * ackWait)
		network.heal()
		time.Sleep(ackWait)
		g.release()
		time.Sleep(ackWait)
		theirs.wantEach(t, ids, 1, 1)
		if n := mine.handled(); n != 1 {
			t.Errorf("%d messages ran in the process that had lost them, want the one that was running", n)
		}
		if err := errors.Join(p.stop(), other.stop()); err != nil {
			t.Error(err)
		}
	})
}

// Held messages are told to the server in turn; a message is not told of more often
// than its lease needs.
func TestLeasesAreExtendedAFewTimesEachAckWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const ackWait, messages = 30 * time.Second, 50
		r := newRig(t)
		sent := r.watchSettlements("JOBS")
		g := newGate(t)
		l := newLedger(g.waitOrEnd)
		r.process(config(t, func(cfg *consumer.Config) { cfg.AckWait = ackWait }), l)
		ids := r.publishMany("m", messages, 0)
		time.Sleep(10 * ackWait)
		if n := sent.count("+WPI"); n < 10*messages || n > 35*messages {
			t.Errorf("%d extensions of %d messages in 10 AckWaits", n, messages)
		}
		g.release()
		time.Sleep(time.Second)
		l.wantEach(t, ids, 1, 1)
		if sent.mu.Lock(); !slices.Contains(sent.sent, "+ACK") {
			t.Error("nothing was acknowledged")
		}
		sent.mu.Unlock()
	})
}
