package consumer_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

func TestAPausedTenantDoesNotStartAndItsRunningHandlersGoOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		var done atomic.Int64
		h := consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			if m.Tenant == "acme" {
				_ = g.waitOrEnd(ctx, m)
			}
			done.Add(1)
			return ctx.Err()
		})
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 2 }), h)
		awaitRunning(t, p)
		for range 5 {
			r.publish("jobs.acme.x", "")
		}
		time.Sleep(time.Second)
		p.set("acme", paused(), 0)
		r.publish("jobs.bolt.x", "")
		g.release()
		time.Sleep(time.Hour)
		s := p.c.Tenant("acme")
		if done.Load() != 3 || s.Queued != 3 || s.InFlight != 0 || !s.Paused {
			t.Errorf("%d are done and %+v is left, want 2 of acme and 1 of bolt, and 3", done.Load(), s)
		}
		if w := s.Waiting; w == nil || w.For != consumer.WaitPaused || !w.Until.IsZero() {
			t.Errorf("it waits for %+v", w)
		}
		p.set("acme", resumed(), 0)
		time.Sleep(time.Second)
		if done.Load() != 6 || p.c.Tenant("acme").Override != nil {
			t.Errorf("%d are done, want 6; its override is %+v", done.Load(), p.c.Tenant("acme").Override)
		}
	})
}

func TestAPausedTenantHoldsItsQueueAndNoMore(t *testing.T) {
	for _, overflow := range []consumer.OverflowPolicy{consumer.OverflowSpill, consumer.OverflowHold} {
		t.Run(string(overflow), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r, l := newRig(t), newLedger(nil)
				p := r.process(config(t, func(cfg *consumer.Config) {
					cfg.Tenants = consumer.TenantPolicy{Queue: 20, OnOverflow: overflow}
				}), l)
				awaitRunning(t, p)
				p.set("acme", paused(), 0)
				ids := r.flood("acme", 200)
				bolt := r.flood("bolt", 50)
				time.Sleep(10 * time.Minute)
				s := p.c.Tenant("acme")
				if s.Queued > 20 || s.InFlight > 0 || p.c.Snapshot().Held > 20 {
					t.Errorf("%d are queued and %d held, want 20 at most: %+v", s.Queued, p.c.Snapshot().Held, s)
				}
				if l.handled() != len(bolt) {
					t.Errorf("%d of %d messages of others are handled", l.handled(), len(bolt))
				}
				p.set("acme", resumed(), 0)
				eventually(t, 10*time.Minute, "all are handled", func() bool { return l.handled() == len(ids)+len(bolt) })
				l.wantEach(t, append(ids, bolt...), 1, 1)
			})
		})
	}
}

func TestASuspectOfAPausedTenantWaitsWithTheRest(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), record(nil)
		p := r.process(config(t, nil), h)
		awaitRunning(t, p)
		p.set("acme", paused(), 0)
		_ = p.stop()
		r.publish("jobs.acme.x", "")
		// Three deliveries without an outcome, as of processes that died.
		c := must[jetstream.Consumer](t)(r.js.Consumer(t.Context(), "JOBS", "w"))
		for range 3 {
			m := must[jetstream.Msg](t)(c.Next())
			if err := m.NakWithDelay(0); err != nil {
				t.Fatal(err)
			}
		}
		q := r.process(config(t, nil), h)
		awaitRunning(t, q)
		time.Sleep(time.Hour)
		if n := len(h.all()); n != 0 {
			t.Errorf("it ran %d times though its tenant is paused", n)
		}
		q.set("acme", resumed(), 0)
		time.Sleep(10 * time.Minute)
		if n := len(h.all()); n != 1 {
			t.Errorf("it ran %d times, want once", n)
		}
	})
}

// At any moment a tenant that runs as many as it may is blocked like them.
func TestATenantAtItsCapFlowsBesideThoseThatArePaused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, o := newRig(t), newOrder(takes(time.Millisecond))
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants.MaxInFlight = 4, 1
			cfg.Buffer.Messages = 512
		}), o)
		awaitRunning(t, p)
		sent, done := 0, 0 // of the one that is not paused, in time
		for range 4 {
			for k := range 10 {
				r.flood(fmt.Sprint("t", k), 100)
				p.set(fmt.Sprint("t", k), paused(), 0)
			}
			time.Sleep(5 * time.Second)
			was := o.handled()
			for range 20 { // as much as it can do
				for range 50 {
					r.publish("jobs.flows.x", fmt.Sprint("flows-", sent))
					sent++
				}
				time.Sleep(50 * time.Millisecond)
			}
			done += o.handled() - was
			for k := range 10 {
				p.set(fmt.Sprint("t", k), resumed(), 0)
			}
			time.Sleep(100 * time.Millisecond)
		}
		if done < 2000 {
			t.Errorf("%d of 4,000 messages were handled in their time", done)
		}
		eventually(t, 30*time.Minute, "all are handled", r.nothingLeft)
	})
}
