package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// must fails the test on an error of setting something up.
func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (r *rig) deleteConsumer(stream, name string) {
	r.t.Helper()
	if err := r.js.DeleteConsumer(r.t.Context(), stream, name); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) deleteStream(name string) {
	r.t.Helper()
	if err := r.js.DeleteStream(r.t.Context(), name); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) createStream(cfg jetstream.StreamConfig) {
	r.t.Helper()
	if _, err := r.js.CreateStream(r.t.Context(), cfg); err != nil {
		r.t.Fatal(err)
	}
}

// byHand is a durable that a careful human makes for an Unmanaged Consumer.
func byHand() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: "w", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1, MaxAckPending: 65536,
	}
}

func TestAConsumerThatIsDeletedWhileIdleIsMadeAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		l := newLedger(nil)
		p := r.process(config(t, nil), l)
		ids := r.publishMany("before", 100, 0)
		time.Sleep(time.Minute) // a survey has seen the ack floor
		r.deleteConsumer("JOBS", "w")
		eventually(t, 10*time.Second, "the observer is told", func() bool { return p.wasReset(consumer.LaneMain, "Consumer Deleted") })
		ids = append(ids, r.publishMany("after", 100, 0)...)
		eventually(t, 10*time.Second, "everything is handled", func() bool { return l.handled() == len(ids) })
		time.Sleep(time.Minute)
		if err := p.c.Ready(); err != nil {
			t.Error(err)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1) // what was done before is not done again
	})
}

func TestAConsumerThatIsDeletedWhileMessagesRunLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		g := newGate(t)
		l := newLedger(g.wait)
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 20; cfg.Buffer.Messages = 64 }), l)
		ids := r.publishMany("m", 500, 0)
		time.Sleep(time.Second)
		r.deleteConsumer("JOBS", "w")
		time.Sleep(15 * time.Second)
		g.release()
		eventually(t, 2*time.Minute, "everything is handled and settled", func() bool { return l.handled() == len(ids) && r.settled() })
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 2)
	})
}

func TestAnUnmanagedConsumerWaitsForADeletedDurableAndSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		for _, s := range []jetstream.StreamConfig{
			{Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew},
			{Name: "JOBS_DEAD", Subjects: []string{"JOBS_DEAD.>"}},
		} {
			r.createStream(s)
		}
		durables := map[string]jetstream.ConsumerConfig{"JOBS w": byHand()}
		for _, kind := range []string{"retry", "suspect"} {
			c := byHand()
			c.Durable, c.FilterSubject, c.MaxAckPending = "w_"+kind, "JOBS_OVERFLOW.w."+kind, 1<<20
			if kind == "suspect" {
				c.MaxAckPending = 1
			}
			durables["JOBS_OVERFLOW "+c.Durable] = c
		}
		create := func(key string) {
			stream, _, _ := strings.Cut(key, " ")
			must[jetstream.Consumer](t)(r.js.CreateConsumer(t.Context(), stream, durables[key]))
		}
		for key := range durables {
			create(key)
		}
		l := newLedger(nil)
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Unmanaged = true }), l)
		ids := r.publishMany("before", 10, 0)
		eventually(t, 10*time.Second, "everything is handled", func() bool { return l.handled() == len(ids) })

		r.deleteConsumer("JOBS", "w")
		time.Sleep(5 * time.Minute)
		err := p.c.Ready()
		for _, want := range []string{"lane main", "consumer w", "JOBS", "Unmanaged"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Ready is %v, want it to name %q", err, want)
			}
		}
		if _, err := r.js.Consumer(t.Context(), "JOBS", "w"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
			t.Errorf("an Unmanaged Consumer made its durable: %v", err)
		}
		create("JOBS w")
		ids = append(ids, r.publishMany("after", 10, 0)...)
		eventually(t, 15*time.Second, "it goes on", func() bool { return l.handled() == len(ids) })
		if err := p.c.Ready(); err != nil {
			t.Error(err)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 2)
	})
}

func TestAManagedStreamThatIsDeletedIsMadeAgain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		r := &rig{Server: s, t: t, js: s.JetStream(t)}
		l := newLedger(nil)
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Subjects = []string{"jobs.>"} }), l)
		time.Sleep(time.Second)
		ids := r.publishMany("before", 10, 0)
		time.Sleep(time.Minute)
		r.deleteStream("JOBS")
		time.Sleep(10 * time.Second)
		ids = append(ids, r.publishMany("after", 20, 0)...)
		eventually(t, 15*time.Second, "everything is handled", func() bool { return l.handled() == len(ids) })
		time.Sleep(time.Minute)
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("%d are unacknowledged", n)
		}
		if err := p.c.Ready(); err != nil {
			t.Error(err)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}

// The sequences of the new stream are those of the old: an acknowledgement of an old
// message would settle a new one that nobody has handled.
func TestAcksOfADeletedStreamDoNotSettleMessagesOfItsSuccessor(t *testing.T) {
	for _, buffer := range []int{4096, 12} {
		t.Run(fmt.Sprintf("buffer %d", buffer), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				old, fresh := newGate(t), newGate(t)
				l := newLedger(func(_ context.Context, m *consumer.Message) error {
					if strings.HasPrefix(string(m.Data), "old") {
						return old.wait(t.Context(), m)
					}
					return fresh.wait(t.Context(), m)
				})
				p := r.process(config(t, func(cfg *consumer.Config) {
					cfg.Workers, cfg.Buffer.Messages, cfg.Tenants.OnOverflow = 20, buffer, consumer.OverflowHold
				}), l)
				ids := r.publishMany("old", 9, 0)
				time.Sleep(10 * time.Second)
				r.deleteStream("JOBS")
				r.createStream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
				ids = append(ids, r.publishMany("new", 9, 0)...)
				time.Sleep(10 * time.Second)
				old.release()
				time.Sleep(10 * time.Second)
				if got := r.info("JOBS", "w"); got.AckFloor.Stream != 0 || got.NumAckPending+int(got.NumPending) != 9 {
					t.Errorf("of 9 new messages that nobody has handled %d wait and %d run, the ack floor is %d", got.NumPending, got.NumAckPending, got.AckFloor.Stream)
				}
				fresh.release()
				eventually(t, 2*time.Minute, "all of the new are settled", func() bool { return l.handled() == len(ids) && r.settled() })
				if err := p.stop(); err != nil {
					t.Error(err)
				}
				l.wantEach(t, ids, 1, 1)
			})
		})
	}
}

// A process with a full buffer is not told of the deletion, and another has the new
// messages. It learns of it at the next survey.
func TestAcksOfADeletedStreamDoNotSettleWhatAnotherProcessHas(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		old, fresh := newGate(t), newGate(t)
		cfg := config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Buffer.Messages, cfg.Tenants.OnOverflow = 20, 11, consumer.OverflowHold
		})
		first := r.process(cfg, newLedger(old.wait))
		ids := r.publishMany("old", 9, 0)
		eventually(t, time.Second, "the buffer is full", func() bool { return first.c.Snapshot().Held == len(ids) })
		l := newLedger(fresh.wait)
		cfg.Buffer.Messages = 100
		second := r.process(cfg, l)
		time.Sleep(time.Second)
		r.deleteStream("JOBS")
		r.createStream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
		ids = r.publishMany("new", 9, 0)
		time.Sleep(time.Minute)
		old.release()
		time.Sleep(5 * time.Second)
		if got := r.info("JOBS", "w"); got.NumAckPending != len(ids) || got.AckFloor.Stream != 0 {
			t.Errorf("of %d new messages that nobody has handled %d are unacknowledged, the ack floor is %d", len(ids), got.NumAckPending, got.AckFloor.Stream)
		}
		fresh.release()
		eventually(t, time.Minute, "everything is settled", r.settled)
		if err := errors.Join(first.stop(), second.stop()); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}

// With a full buffer no pull is parked and nothing tells of the deletion; another
// process has made the durable anew before this one asks again.
func TestAStreamThatWasReplacedUnnoticedLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		old := newGate(t)
		l := newLedger(func(_ context.Context, m *consumer.Message) error {
			if strings.HasPrefix(string(m.Data), "old") && m.Sequence > 1 {
				return old.wait(t.Context(), m)
			}
			return nil
		})
		first := newGate(t)
		h := consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			if err := l.Handle(ctx, m); err != nil || m.Sequence > 1 || strings.HasPrefix(string(m.Data), "new") {
				return err
			}
			return first.wait(t.Context(), m)
		})
		ids := r.publishMany("old", 6, 0)
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Buffer.Messages, cfg.Tenants.OnOverflow = 20, 8, consumer.OverflowHold
		}), h)
		eventually(t, time.Second, "the buffer is full", func() bool { return p.c.Snapshot().Held == 6 && p.lane(consumer.LaneMain).Requested == 0 })
		r.deleteStream("JOBS")
		r.createStream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
		must[jetstream.Consumer](t)(r.js.CreateConsumer(t.Context(), "JOBS", byHand()))
		ids = append(ids, r.publishMany("new", 6, 0)...)
		first.release() // room for a pull, which the new durable answers
		time.Sleep(5 * time.Second)
		old.release()
		eventually(t, 2*time.Minute, "all of the new are handled and settled", func() bool { return l.handled() == len(ids) && r.settled() })
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 2)
	})
}

func TestAnOverflowStreamThatIsDeletedIsMadeAgainAndRetriesGoOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(_ context.Context, m *consumer.Message) error {
			if m.Attempt < 3 {
				return errors.New("not yet")
			}
			return nil
		})
		p := r.process(config(t, nil), h)
		time.Sleep(time.Second)
		r.deleteStream("JOBS_OVERFLOW")
		r.publish("jobs.acme.x", "while it is away")
		eventually(t, 30*time.Second, "it is there again", func() bool {
			_, err := r.js.Stream(t.Context(), "JOBS_OVERFLOW")
			return err == nil
		})
		r.publish("jobs.acme.x", "after")
		eventually(t, time.Minute, "both were tried three times", func() bool {
			third := 0
			for _, run := range h.all() {
				if run.m.Attempt == 3 {
					third++
				}
			}
			return third == 2
		})
		// A stream that goes may take its last words with it: then the lane learns of it by
		// the silence, or because nobody answers.
		told := p.wasReset(consumer.LaneRetry, "Consumer Deleted") || p.wasReset(consumer.LaneRetry, "no heartbeat") || p.wasReset(consumer.LaneRetry, "503")
		if !told {
			t.Errorf("the observer was told %v", p.resets)
		}
		eventually(t, time.Minute, "ready", func() bool { return p.c.Ready() == nil })
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestADurableThatWasChangedByHandIsCorrected(t *testing.T) {
	change := byHand()
	change.MaxDeliver, change.BackOff, change.AckWait, change.MaxAckPending = 3, []time.Duration{time.Second, 2 * time.Second}, time.Second, 10
	correct := func(t *testing.T, r *rig) bool {
		got := r.info("JOBS", "w").Config
		return got.MaxDeliver == -1 && len(got.BackOff) == 0 && got.AckWait == 30*time.Second && got.MaxAckPending >= 1024
	}
	t.Run("at start", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := newRig(t)
			must[jetstream.Consumer](t)(r.js.CreateConsumer(t.Context(), "JOBS", change))
			r.process(config(t, nil), newLedger(nil))
			eventually(t, 5*time.Second, "it is corrected", func() bool { return correct(t, r) })
		})
	})
	t.Run("while running", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := newRig(t)
			p := r.process(config(t, nil), newLedger(nil))
			time.Sleep(time.Second)
			must[jetstream.Consumer](t)(r.js.UpdateConsumer(t.Context(), "JOBS", change))
			eventually(t, time.Minute, "it is corrected", func() bool { return correct(t, r) })
			if err := p.c.Ready(); err != nil {
				t.Error(err)
			}
		})
	})
	t.Run("what does no harm stays", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			r := newRig(t)
			own := byHand()
			own.Description, own.MaxAckPending, own.MaxDeliver = "ours", 1<<20, 5
			must[jetstream.Consumer](t)(r.js.CreateConsumer(t.Context(), "JOBS", own))
			r.process(config(t, nil), newLedger(nil))
			eventually(t, 5*time.Second, "it is corrected", func() bool { return r.info("JOBS", "w").Config.MaxDeliver == -1 })
			if got := r.info("JOBS", "w").Config; got.MaxAckPending != 1<<20 || got.Description != "ours" {
				t.Errorf("changed to %+v", got)
			}
		})
	})
}

// runOnce runs a Consumer that cannot start, and returns why.
func (r *rig) runOnce(cfg consumer.Config, opts ...nats.Option) error {
	r.t.Helper()
	p := r.process(cfg, newLedger(nil), opts...)
	eventually(r.t, 2*time.Minute, "Run has returned", func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
	if n := p.nc.NumSubscriptions(); n > 1 { // one is that of the client's own requests
		r.t.Errorf("%d subscriptions are left", n)
	}
	return p.err
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %v, want it to name %q", err, part)
		}
	}
}

func TestADurableThatCannotBeUsedIsAnErrorThatNamesIt(t *testing.T) {
	for _, tt := range []struct {
		name      string
		durable   func(cfg *jetstream.ConsumerConfig)
		unmanaged bool
		want      []string
	}{
		{"push based", func(cfg *jetstream.ConsumerConfig) { cfg.DeliverSubject = "somewhere" }, false, []string{"consumer w", "JOBS", "push"}},
		{"without acks", func(cfg *jetstream.ConsumerConfig) { cfg.AckPolicy = jetstream.AckNonePolicy; cfg.MaxAckPending = 0 }, false, []string{"consumer w", "JOBS", "AckNone", "explicit"}},
		{"acks all", func(cfg *jetstream.ConsumerConfig) { cfg.AckPolicy = jetstream.AckAllPolicy }, false, []string{"consumer w", "AckAll", "explicit"}},
		{"Unmanaged and different", func(cfg *jetstream.ConsumerConfig) {
			cfg.MaxDeliver, cfg.AckWait, cfg.FilterSubject = 3, time.Second, "jobs.a.>"
		}, true, []string{"consumer w", "max deliver is 3", "ack wait is 1s, must be 30s", "jobs.a.>", "Unmanaged"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				for _, s := range []jetstream.StreamConfig{
					{Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew},
					{Name: "JOBS_DEAD", Subjects: []string{"JOBS_DEAD.>"}},
				} {
					r.createStream(s)
				}
				cfg := byHand()
				tt.durable(&cfg)
				req := fmt.Sprintf(`{"stream_name":"JOBS","config":%s}`, consumerJSON(t, cfg))
				answer := must[*nats.Msg](t)(r.js.Conn().Request("$JS.API.CONSUMER.DURABLE.CREATE.JOBS.w", []byte(req), time.Minute))
				if strings.Contains(string(answer.Data), `"error"`) {
					t.Fatalf("%s", answer.Data)
				}
				err := r.runOnce(config(t, func(cfg *consumer.Config) { cfg.Unmanaged = tt.unmanaged }))
				wantError(t, err, tt.want...)
			})
		})
	}
}

func TestADurableThatIsReplacedByAPushConsumerEndsRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		p := r.process(config(t, nil), newLedger(nil))
		time.Sleep(time.Second)
		r.deleteConsumer("JOBS", "w")
		cfg := byHand()
		cfg.DeliverSubject = "somewhere"
		req := fmt.Sprintf(`{"stream_name":"JOBS","config":%s}`, consumerJSON(t, cfg))
		must[*nats.Msg](t)(r.js.Conn().Request("$JS.API.CONSUMER.DURABLE.CREATE.JOBS.w", []byte(req), time.Minute))
		eventually(t, time.Minute, "Run has returned", func() bool {
			select {
			case <-p.done:
				return true
			default:
				return false
			}
		})
		wantError(t, p.err, "consumer w", "push")
	})
}

func TestEveryRetentionIsConsumedToTheEnd(t *testing.T) {
	for _, retention := range []jetstream.RetentionPolicy{jetstream.LimitsPolicy, jetstream.WorkQueuePolicy, jetstream.InterestPolicy} {
		t.Run(retention.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := consumertest.NewServer(t)
				r := &rig{Server: s, t: t, js: s.JetStream(t)}
				r.createStream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}, Retention: retention})
				l := newLedger(func(_ context.Context, m *consumer.Message) error {
					if strings.HasSuffix(string(m.Data), "7") && m.Attempt == 1 {
						return errors.New("once more")
					}
					return nil
				})
				p := r.process(config(t, nil), l)
				time.Sleep(time.Second)
				ids := r.publishMany("m", 500, 0)
				time.Sleep(time.Minute)
				r.deleteConsumer("JOBS", "w") // on Interest nothing is left that could be lost by this
				time.Sleep(10 * time.Second)
				ids = append(ids, r.publishMany("after", 500, 0)...)
				time.Sleep(time.Minute)
				if err := p.stop(); err != nil {
					t.Error(err)
				}
				l.wantEach(t, ids, 1, 2)
				want := uint64(0)
				if retention == jetstream.LimitsPolicy {
					want = uint64(len(ids))
				}
				if n := r.streamMsgs("JOBS"); n != want {
					t.Errorf("%d messages are left in the stream, want %d", n, want)
				}
				if n := r.streamMsgs("JOBS_OVERFLOW"); n != 0 {
					t.Errorf("%d copies are left", n)
				}
			})
		})
	}
}

func TestTwoDurablesWithFiltersEachTakeTheirs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.publishMany("m", 100, 0)
		one, two := newLedger(nil), newLedger(nil)
		r.process(config(t, func(cfg *consumer.Config) {
			cfg.Durable, cfg.FilterSubjects = "one", []string{"jobs.t1.>"}
		}), one)
		r.process(config(t, func(cfg *consumer.Config) {
			cfg.Durable, cfg.FilterSubjects = "two", []string{"jobs.t1.>", "jobs.t2.>"}
		}), two)
		time.Sleep(time.Minute)
		var ones, twos []string
		for i, id := range ids {
			if i%10 == 1 {
				ones = append(ones, id)
			}
			if i%10 == 1 || i%10 == 2 {
				twos = append(twos, id)
			}
		}
		one.wantEach(t, ones, 1, 1)
		two.wantEach(t, twos, 1, 1)
	})
}

func TestDeliverNewTakesOnlyWhatComesAfterTheDurableWasMade(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.publishMany("old", 10, 0)
		l := newLedger(nil)
		cfg := config(t, func(cfg *consumer.Config) { cfg.Deliver = jetstream.DeliverNewPolicy })
		p := r.process(cfg, l)
		time.Sleep(time.Second)
		ids := r.publishMany("new", 10, 0)
		time.Sleep(time.Second)
		r.deleteConsumer("JOBS", "w") // it is made again where it was, not at what is new then
		ids = append(ids, r.publishMany("meanwhile", 10, 0)...)
		time.Sleep(time.Minute)
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		ids = append(ids, r.publishMany("stopped", 10, 0)...)
		again := r.process(cfg, l)
		time.Sleep(time.Minute)
		if err := again.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 2)
	})
}

func TestAJetStreamDomainIsReachedByItsPrefix(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := consumertest.NewServer(t, consumertest.WithConfig(func(o *server.Options) { o.JetStreamDomain = "hub" }))
		r := &rig{Server: s, t: t, js: s.JetStream(t)}
		r.createStream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
		l := newLedger(func(_ context.Context, m *consumer.Message) error {
			if m.Attempt == 1 {
				return errors.New("once more")
			}
			return nil
		})
		js := must[jetstream.JetStream](t)(jetstream.NewWithDomain(r.Conn(t), "hub"))
		p := startWith(t, js, config(t, nil), l)
		ids := r.publishMany("m", 100, 0)
		time.Sleep(time.Minute)
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 2, 2)
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("%d are unacknowledged", n)
		}
	})
}

func TestTenThousandTenantsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		const tenants = 10_000
		ids := make([]string, tenants)
		for i := range ids {
			ids[i] = fmt.Sprintf("m-%d", i)
			if _, err := r.js.PublishAsync(fmt.Sprintf("jobs.tenant-%d.x", i), []byte(ids[i])); err != nil {
				t.Fatal(err)
			}
		}
		<-r.js.PublishAsyncComplete()
		l := newLedger(nil)
		p := r.process(config(t, nil), l)
		eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == tenants })
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}

func TestWhatTheServerForbidsIsNamedByRun(t *testing.T) {
	only := func(o *server.Options) {
		o.NoAuthUser = "admin"
		o.Users = []*server.User{
			{Username: "admin", Password: "x"},
			{Username: "worker", Password: "x", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.>"}},
			}},
			{Username: "reader", Password: "x", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"$JS.API.CONSUMER.CREATE.>", "$JS.API.CONSUMER.DURABLE.>"}},
			}},
		}
	}
	for _, tt := range []struct {
		user string
		want []string
	}{
		{"worker", []string{"JOBS", "permissions violation", "STREAM.INFO"}},
		{"reader", []string{"consumer w", "permissions violation", "CONSUMER.CREATE"}},
	} {
		t.Run(tt.user, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t, consumertest.WithConfig(only))
				start := time.Now()
				err := r.runOnce(config(t, nil), nats.UserInfo(tt.user, "x"))
				for _, part := range tt.want {
					if err == nil || !strings.Contains(strings.ToLower(err.Error()), strings.ToLower(part)) {
						t.Errorf("the error is %v, want it to name %q", err, part)
					}
				}
				if took := time.Since(start); took > 20*time.Second {
					t.Errorf("it took %v to say so", took)
				}
			})
		})
	}
}

func TestAMissingStreamIsAnErrorThatSaysWhatToDo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		r := &rig{Server: s, t: t, js: s.JetStream(t)}
		wantError(t, r.runOnce(config(t, nil)), "stream JOBS does not exist", "Subjects")
	})
}
