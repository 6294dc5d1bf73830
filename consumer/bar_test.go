package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/envelope"
)

func TestAForeignConsumerWithTheNameOfAnOverflowCostsThatTenantAlone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.createStream(jetstream.StreamConfig{
			Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"}, Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardNew, Duplicates: time.Minute,
		})
		name := envelope.Spill{Downstream: "default", Tenant: "a"}.Consumer("w")
		must[jetstream.PushConsumer](t)(r.js.CreatePushConsumer(t.Context(), "JOBS_OVERFLOW", jetstream.ConsumerConfig{
			Durable: name, DeliverSubject: "somewhere", AckPolicy: jetstream.AckExplicitPolicy, FilterSubject: "JOBS_OVERFLOW.of.nobody",
		}))
		l := newLedger(takes(5 * time.Millisecond))
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers, cfg.Tenants.Queue = 4, 40 }), l)
		ids := append(r.flood("a", 400), r.flood("b", 400)...)
		time.Sleep(30 * time.Second)
		var late []string
		for i := range 400 { // these find the name taken
			id := fmt.Sprintf("late-%d", i)
			r.publish("jobs.a.x", id)
			late = append(late, id)
		}
		eventually(t, 5*time.Minute, "what came later is handled", func() bool { return l.ran(late) })
		select {
		case <-p.done:
			t.Fatalf("Run has returned: %v", p.err)
		default:
		}
		if p.settledAs(consumer.OutcomeDelay) == 0 {
			t.Error("nothing of the tenant was delayed")
		}
		if left := r.streamMsgs("JOBS_OVERFLOW"); left == 0 {
			t.Error("nothing waits for the name: the test shows nothing")
		}
		r.deleteConsumer("JOBS_OVERFLOW", name)
		ids = append(ids, late...)
		eventually(t, 5*time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		eventually(t, 5*time.Minute, "nothing is left", r.nothingLeft)
		l.wantEach(t, ids, 1, 1)
	})
}

// ran reports whether each of the messages ran.
func (l *ledger) ran(ids []string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return !slices.ContainsFunc(ids, func(id string) bool { return l.runs[id] == 0 })
}

func TestAnUnmanagedConsumerTakesBackWhatAManagedOneSpilled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		g := newGate(t)
		managed := config(t, func(cfg *consumer.Config) { cfg.Workers, cfg.Tenants.Queue, cfg.DrainTimeout = 4, 40, time.Second })
		first := r.process(managed, newLedger(func(ctx context.Context, _ *consumer.Message) error {
			select {
			case <-g.open:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}))
		time.Sleep(time.Second)
		ids := r.flood("a", 500)
		eventually(t, 10*time.Second, "the flood is spilled", func() bool { return r.spilled() > 400 })
		_ = first.stop()

		l := newLedger(takes(5 * time.Millisecond))
		unmanaged := managed
		unmanaged.Unmanaged = true
		p := r.process(unmanaged, l)
		eventually(t, 2*time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		eventually(t, time.Minute, "nothing is left", r.nothingLeft)
		l.wantEach(t, ids, 1, 1)
		ids = append(ids, r.flood("b", 500)...)
		eventually(t, 5*time.Minute, "what comes later is handled", func() bool { return l.handled() == len(ids) })
		eventually(t, 5*time.Minute, "nothing is left", r.nothingLeft)
		if n := p.settledAs(consumer.OutcomeSpill); n > 0 {
			t.Errorf("it spilled %d", n)
		}
	})
}
