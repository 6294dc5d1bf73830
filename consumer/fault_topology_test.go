package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// must fails the test on an error of setting something up.
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
