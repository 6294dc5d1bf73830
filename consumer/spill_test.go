package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// flood publishes n messages of one tenant, and returns their ids.
func (r *rig) flood(tenant string, n int) []string {
	r.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%d", tenant, i)
		r.publish("jobs."+tenant+".x", ids[i])
	}
	return ids
}

// order is a ledger that remembers the order in which messages of each tenant began.
type order struct {
	*ledger
	mu    sync.Mutex
	began map[string][]uint64
}

func newOrder(next func(ctx context.Context, m *consumer.Message) error) *order {
	return &order{ledger: newLedger(next), began: make(map[string][]uint64)}
}

func (o *order) Handle(ctx context.Context, m *consumer.Message) error {
	o.mu.Lock()
	o.began[m.Tenant] = append(o.began[m.Tenant], m.Sequence)
	o.mu.Unlock()
	return o.ledger.Handle(ctx, m)
}

func (o *order) want(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for tenant, seqs := range o.began {
		for i := 1; i < len(seqs); i++ {
			if seqs[i] < seqs[i-1] {
				t.Errorf("tenant %s: message %d began after %d, at place %d of %d", tenant, seqs[i], seqs[i-1], i, len(seqs))
				break
			}
		}
	}
}

func takes(d time.Duration) func(context.Context, *consumer.Message) error {
	return func(context.Context, *consumer.Message) error {
		time.Sleep(d)
		return nil
	}
}

// spilled returns how many copies there are.
func (r *rig) spilled() uint64 {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), "JOBS_OVERFLOW")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0 // no Consumer has started yet
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

func (r *rig) nothingLeft() bool { return r.settled() && r.streamMsgs("JOBS_OVERFLOW") == 0 }

func TestAFloodSpillsAndComesBackInItsOrderWhileOthersGoByIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.flood("flood", 5000)
		o := newOrder(takes(5 * time.Millisecond))
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers = 8
			cfg.PolicyFor = func(tenant string, p *consumer.TenantPolicy) {
				if tenant == "flood" {
					p.MaxInFlight = 1 // so that what begins later is later
				}
			}
		}), o)
		for i := range 200 { // goes on while it flows
			time.Sleep(20 * time.Millisecond)
			ids = append(ids, r.flood("quiet"+fmt.Sprint(i), 1)...)
			r.publish("jobs.flood.x", fmt.Sprintf("late-%d", i))
			ids = append(ids, fmt.Sprintf("late-%d", i))
		}
		eventually(t, 2*time.Minute, "everything is handled", func() bool { return o.handled() == len(ids) })
		eventually(t, time.Minute, "nothing is left", r.nothingLeft)
		o.wantEach(t, ids, 1, 1)
		o.want(t)
		spilled := p.settledAs(consumer.OutcomeSpill)
		if spilled < 4000 {
			t.Errorf("%d spilled of a flood of 5000", spilled)
		}
		if n := p.settledAs(consumer.OutcomeDelay) + p.settledAs(consumer.OutcomeHandBack) + p.settledAs(consumer.OutcomeSuspect); n > 0 {
			t.Errorf("%d deliveries were neither handled nor spilled", n)
		}
	})
}

func (p *process) settledAs(o consumer.Outcome) (n uint64) {
	for _, d := range p.c.Snapshot().Downstreams {
		n += d.Settled[o]
	}
	return n
}

func TestAQueueLeavesItsOverflowWhenItHasRoomAndIsFirstInFirstOutAllTheWhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		o := newOrder(takes(10 * time.Millisecond))
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants.MaxInFlight, cfg.Tenants.Queue = 4, 1, 40
			cfg.Buffer.TargetDelay = time.Minute // it is about the marks
		}), o)
		var ids []string
		for round := range 5 { // floods, and a trickle between them that it keeps up with
			for i := range 300 {
				id := fmt.Sprintf("r%d-%d", round, i)
				r.publish("jobs.a.x", id)
				ids = append(ids, id)
				if i >= 100 {
					time.Sleep(15 * time.Millisecond)
				}
			}
			time.Sleep(2 * time.Second)
		}
		eventually(t, time.Minute, "everything is handled", func() bool { return o.handled() == len(ids) })
		eventually(t, time.Minute, "nothing is left", r.nothingLeft)
		o.wantEach(t, ids, 1, 1)
		o.want(t)
		spilled := p.settledAs(consumer.OutcomeSpill)
		// Of each flood 70 find no room, and until as many are done, a third of a message in each
		// 10 ms, 140 come behind them; the rest is for what is on its way when the overflow ends.
		if spilled == 0 || spilled > 5*(70+140+10) {
			t.Errorf("%d of %d messages took the overflow", spilled, len(ids))
		}
	})
}

func TestAnotherProcessWorksOnWhatWasSpilledBeforeItStarted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.flood("flood", 4000)
		first, second := newLedger(takes(20*time.Millisecond)), newLedger(takes(20*time.Millisecond))
		cfg := config(t, func(cfg *consumer.Config) { cfg.Workers = 4 })
		r.process(cfg, first)
		eventually(t, 10*time.Second, "the flood is spilled", func() bool { return r.spilled() > 3000 && r.info("JOBS", "w").NumPending == 0 })
		r.process(cfg, second)
		eventually(t, time.Minute, "everything is handled", func() bool { return first.handled()+second.handled() == len(ids) })
		eventually(t, time.Minute, "nothing is left", r.nothingLeft)
		if a, b := first.handled(), second.handled(); b < a/2 {
			t.Errorf("the first handled %d, the second %d", a, b)
		}
	})
}

func TestWhatIsSpilledIsFoundAgainAfterARestart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.flood("flood", 2000)
		l := newLedger(takes(20 * time.Millisecond))
		cfg := config(t, func(cfg *consumer.Config) { cfg.Workers = 2 })
		p := r.process(cfg, l)
		eventually(t, 10*time.Second, "the flood is spilled", func() bool { return r.spilled() > 1000 })
		if err := p.stop(); err != nil {
			t.Fatal(err)
		}
		if n := l.handled(); n > 1000 {
			t.Fatalf("%d were handled: too late for a restart", n)
		}
		cfg.Workers = 20
		r.process(cfg, l)
		eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		eventually(t, time.Minute, "nothing is left", r.nothingLeft)
		l.wantEach(t, ids, 1, 1)
	})
}

func TestWhatAHolderOfOverflowHadIsTakenOverWhenItDies(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const ackWait = 10 * time.Second
		r := newRig(t)
		cfg := config(t, func(cfg *consumer.Config) { cfg.Workers, cfg.AckWait = 4, ackWait })
		ids := r.flood("flood", 1000)
		dies, stays := newLedger(takes(20*time.Millisecond)), newLedger(takes(20*time.Millisecond))
		network := newLink(r.Server)
		r.process(cfg, dies, nats.InProcessServer(network), nats.PingInterval(time.Hour))
		eventually(t, 10*time.Second, "the flood is spilled", func() bool { return r.spilled() > 700 && r.info("JOBS", "w").NumPending == 0 })
		r.process(cfg, stays)
		time.Sleep(time.Second)
		network.silence()
		eventually(t, 2*time.Minute, "everything is handled", func() bool {
			seen := make(map[string]bool)
			for _, l := range []*ledger{dies, stays} {
				l.mu.Lock()
				for id := range l.runs {
					seen[id] = true
				}
				l.mu.Unlock()
			}
			return len(seen) == len(ids)
		})
		eventually(t, 2*time.Minute, "nothing is left", r.nothingLeft)
	})
}

func TestAnOverflowThatIsFullDelays(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.flood("flood", 2000)
		l := newLedger(takes(5 * time.Millisecond))
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Overflow.MaxBytes = 4, 64<<10 // some hundreds of copies
		}), l)
		eventually(t, 5*time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		eventually(t, 5*time.Minute, "nothing is left", r.nothingLeft)
		l.wantEach(t, ids, 1, 1)
		if p.settledAs(consumer.OutcomeSpill) == 0 || p.settledAs(consumer.OutcomeDelay) == 0 {
			t.Errorf("settled %+v: want some spilled and some delayed", p.c.Snapshot().Downstreams)
		}
	})
}

func TestDropTerminatesWhatAQueueHasNoRoomFor(t *testing.T) {
	for _, retention := range []jetstream.RetentionPolicy{jetstream.LimitsPolicy, jetstream.WorkQueuePolicy, jetstream.InterestPolicy} {
		t.Run(retention.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRetentionRig(t, retention)
				l := newLedger(takes(5 * time.Millisecond))
				p := r.process(config(t, func(cfg *consumer.Config) {
					cfg.Workers = 4
					cfg.PolicyFor = func(tenant string, p *consumer.TenantPolicy) {
						if tenant == "ticks" {
							p.OnOverflow = consumer.OverflowDrop
						}
					}
				}), l)
				time.Sleep(time.Second)
				r.flood("ticks", 2000)
				ids := r.flood("work", 1000)
				eventually(t, time.Minute, "all is settled", r.nothingLeft)
				dropped := p.settledAs(consumer.OutcomeDrop)
				if dropped == 0 || l.handled()+int(dropped) != 3000 {
					t.Errorf("%d dropped and %d handled of 3000", dropped, l.handled())
				}
				l.mu.Lock()
				defer l.mu.Unlock()
				for _, id := range ids {
					if l.runs[id] != 1 {
						t.Fatalf("%s ran %d times", id, l.runs[id])
					}
				}
			})
		})
	}
}

// newRetentionRig is a rig whose stream has another retention.
func newRetentionRig(t *testing.T, retention jetstream.RetentionPolicy) *rig {
	t.Helper()
	s := consumertest.NewServer(t)
	r := &rig{Server: s, t: t, js: s.JetStream(t)}
	r.createStream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}, Retention: retention})
	return r
}

func TestSpillingWorksWithEveryRetention(t *testing.T) {
	for _, retention := range []jetstream.RetentionPolicy{jetstream.WorkQueuePolicy, jetstream.InterestPolicy} {
		t.Run(retention.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRetentionRig(t, retention)
				l := newLedger(takes(5 * time.Millisecond))
				p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 4 }), l)
				time.Sleep(time.Second)
				ids := r.flood("flood", 2000)
				eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
				eventually(t, time.Minute, "nothing is left", r.nothingLeft)
				l.wantEach(t, ids, 1, 1)
				if n := r.streamMsgs("JOBS"); n != 0 {
					t.Errorf("%d messages are left in the stream", n)
				}
				if p.settledAs(consumer.OutcomeSpill) == 0 {
					t.Error("nothing was spilled")
				}
			})
		})
	}
}

func TestMoreQueuesThanLanesTakeTurns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		var ids []string
		for i := range 130 {
			ids = append(ids, r.flood(fmt.Sprintf("t%d", i), 30)...)
		}
		l := newLedger(takes(20 * time.Millisecond))
		most := 0
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers, cfg.Tenants.Queue = 4, 8 }), l)
		eventually(t, 30*time.Minute, "everything is handled", func() bool {
			n := 0
			for _, lane := range p.c.Snapshot().Lanes {
				if lane.Lane == consumer.LaneOverflow {
					n++
				}
			}
			most = max(most, n)
			return l.handled() == len(ids)
		})
		eventually(t, time.Minute, "nothing is left", r.nothingLeft)
		l.wantEach(t, ids, 1, 1)
		if most != 100 {
			t.Errorf("at most %d lanes ran at once, want 100", most)
		}
	})
}

func TestTheHandlerAndTheDeadLetterSeeTheOriginOfWhatWasSpilled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		var mu sync.Mutex
		seen := make(map[uint64]*consumer.Message)
		h := consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
			time.Sleep(5 * time.Millisecond)
			mu.Lock()
			defer mu.Unlock()
			copied := *m
			seen[m.Sequence] = &copied
			if m.Sequence == 900 {
				return consumer.DeadLetter(errors.New("never"))
			}
			return nil
		})
		for i := range 900 {
			r.publish("jobs.flood.x", fmt.Sprint(i+1), "X-Id", fmt.Sprint(i+1), "Nats-Msg-Id", fmt.Sprint(i+1))
		}
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 2 }), h)
		eventually(t, time.Minute, "nothing is left", func() bool { return r.nothingLeft() && p.c.Snapshot().Held == 0 })
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		for seq, m := range seen {
			if m.Stream != "JOBS" || m.Subject != "jobs.flood.x" || string(m.Data) != fmt.Sprint(seq) ||
				m.Header.Get("X-Id") != fmt.Sprint(seq) || m.Header.Get("Nats-Msg-Id") != fmt.Sprint(seq) || m.Attempt != 1 {
				t.Fatalf("message %d came as %+v", seq, m)
			}
		}
		letters := r.letters()
		if len(letters) != 1 || letters[0].Header.Get("Spillway-Origin-Subject") != "jobs.flood.x" || letters[0].Header.Get("Spillway-Sequence") != "900" {
			t.Errorf("dead letters %+v", letters)
		}
	})
}

func TestTheSnapshotTellsTheOverflowOfATenant(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.flood("flood", 1000)
		g := newGate(t)
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers, cfg.Tenants.Queue = 1, 100 }), newLedger(g.wait))
		eventually(t, 10*time.Second, "the flood is spilled", func() bool { return p.settledAs(consumer.OutcomeSpill) > 800 })
		time.Sleep(time.Second)
		s := p.c.Snapshot()
		i := slices.IndexFunc(s.Tenants, func(ts consumer.TenantState) bool { return ts.Tenant == "flood" })
		if i < 0 {
			t.Fatalf("no tenant in %+v", s.Tenants)
		}
		if ts := s.Tenants[i]; ts.Overflow+uint64(ts.Queued+ts.InFlight) != 1000 {
			t.Errorf("%d in overflow, %d queued, %d in flight of 1000", ts.Overflow, ts.Queued, ts.InFlight)
		}
		if s.Backlog != 1000 {
			t.Errorf("the backlog is told as %d, and is 1000", s.Backlog)
		}
		g.release()
	})
}
