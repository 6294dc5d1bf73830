package consumer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

func TestAFloodIsDelayedAtItsWatermarkAndAQuietTenantGoesByIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		const flood = 5000
		for range flood {
			r.publish("jobs.flood.x", "")
		}
		quiet := make(map[uint64]time.Time)
		h := record(func(context.Context, *consumer.Message) error {
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants.OnOverflow = 8, consumer.OverflowDelay
		}), h)
		for range 20 {
			time.Sleep(50 * time.Millisecond)
			quiet[r.publish("jobs.quiet.x", "")] = time.Now()
		}
		left := uint64(flood + 20 - len(h.all()))
		if backlog := r.c.Snapshot().Backlog; backlog < left-8 || backlog > left+left/10 { // 8 are running
			t.Errorf("the backlog is told as %d, and is %d", backlog, left)
		}
		time.Sleep(time.Minute)
		var worst time.Duration
		for _, run := range h.all() {
			if at, ok := quiet[run.m.Sequence]; ok {
				worst = max(worst, run.at.Sub(at))
			}
		}
		if worst > 20*time.Millisecond {
			t.Errorf("a quiet message waited %v", worst)
		}
		counts := h.bySequence()
		if len(counts) != flood+20 {
			t.Errorf("%d messages were handled, want %d", len(counts), flood+20)
		}
		for seq, n := range counts {
			if n != 1 {
				t.Fatalf("message %d ran %d times", seq, n)
			}
		}
		s := r.c.Snapshot()
		delayed := r.settledAs(consumer.OutcomeDelay)
		t.Logf("%d delays for a flood of %d; last run at %v", delayed, flood, h.all()[len(counts)-1].at.Sub(h.all()[0].at))
		if delayed == 0 || delayed > 2*flood {
			t.Errorf("%d delays for a flood of %d", delayed, flood)
		}
		if r.settledAs(consumer.OutcomeSuspect) != 0 {
			t.Errorf("messages that were only delayed became suspects: %+v", s.Downstreams)
		}
		// 5,000 × 10 ms on 8 workers take 6.3 s when no worker is ever idle.
		if took := h.all()[len(counts)-1].at.Sub(h.all()[0].at); took > 10*time.Second {
			t.Errorf("took %v: workers were idle while messages waited", took)
		}
	})
}

func TestWhatIsShedIsToldWithItsTenantAndDownstream(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		for range 200 {
			r.publish("jobs.flood.x", "")
		}
		var mu sync.Mutex
		told := make(map[consumer.Shed]int)
		var m consumer.Mux
		m.Route(consumer.Route{Subject: "jobs.*.x", Downstream: "billing", Handler: consumer.HandlerFunc(newGate(t).waitOrEnd)})
		r.observe(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants.Queue, cfg.Tenants.OnOverflow = 1, 20, consumer.OverflowDelay
		}), &m, consumer.Observer{Shed: func(e consumer.Shed) {
			mu.Lock()
			defer mu.Unlock()
			told[e]++
		}})
		time.Sleep(time.Second)
		mu.Lock()
		defer mu.Unlock()
		if want := (consumer.Shed{Tenant: "flood", Downstream: "billing", Policy: consumer.OverflowDelay}); len(told) != 1 || told[want] == 0 {
			t.Errorf("told of %v, want only of %+v", told, want)
		}
	})
}

func TestHoldStopsThePullAtTheHighWatermarkUntilTheLow(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		for range 2000 {
			r.publish("jobs.flood.x", "")
		}
		h := record(func(context.Context, *consumer.Message) error {
			time.Sleep(100 * time.Millisecond)
			return nil
		})
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Workers = 4
			cfg.Tenants = consumer.TenantPolicy{Queue: 40, High: 0.5, Low: 0.25, OnOverflow: consumer.OverflowHold}
		}), h)
		held := 0
		for range 100 {
			time.Sleep(200 * time.Millisecond)
			s := r.c.Snapshot()
			held = max(held, s.Held)
			for _, d := range s.Tenants {
				if d.Queued > 40 {
					t.Fatalf("%d queued, more than Queue", d.Queued)
				}
			}
		}
		if held > 40+4 {
			t.Errorf("held %d messages", held)
		}
		time.Sleep(2 * time.Minute)
		if n := len(h.all()); n != 2000 {
			t.Errorf("%d runs, want 2000", n)
		}
		if n := r.settledAs(consumer.OutcomeDelay); n != 0 {
			t.Errorf("%d messages were handed back under hold", n)
		}
	})
}

func TestThousandsOfMessagesInLongBackoffDoNotDelayAQuietTenant(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(_ context.Context, m *consumer.Message) error {
			if m.Tenant == "failing" && m.Attempt == 1 {
				return consumer.RetryAfter(errBoom, 10*time.Minute)
			}
			return nil
		})
		for range 1000 {
			r.publish("jobs.failing.x", "")
		}
		r.run(config(t, nil), h)
		time.Sleep(5 * time.Second)
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("messages in backoff hold %d places of the main lane", n)
		}
		at := time.Now()
		seq := r.publish("jobs.quiet.x", "")
		time.Sleep(time.Second)
		last := h.all()[len(h.all())-1]
		if last.m.Sequence != seq || last.at.Sub(at) > 10*time.Millisecond {
			t.Errorf("the quiet message ran %v after it came", last.at.Sub(at))
		}
		time.Sleep(20 * time.Minute)
		for seq, n := range h.bySequence() {
			if m := h.bySequence(); n != 2 && m[seq] != 1 {
				t.Fatalf("message %d ran %d times", seq, n)
			}
		}
		if n := len(h.all()); n != 2001 {
			t.Errorf("%d runs, want 2001", n)
		}
		if s := r.c.Snapshot(); s.Held != 0 {
			t.Errorf("%d held", s.Held)
		}
	})
}

func TestMaxInFlightOneRunsATenantInStreamOrder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		var want []uint64
		for i := range 300 {
			seq := r.publish(fmt.Sprintf("jobs.t%d.x", i%3), "")
			if i%3 == 0 {
				want = append(want, seq)
			}
		}
		h := record(func(context.Context, *consumer.Message) error {
			time.Sleep(time.Millisecond)
			return nil
		})
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.PolicyFor = func(tenant string, p *consumer.TenantPolicy) {
				if tenant == "t0" {
					p.MaxInFlight = 1
				}
			}
		}), h)
		time.Sleep(10 * time.Second)
		var got []run
		for _, run := range h.all() {
			if run.m.Tenant == "t0" {
				got = append(got, run)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d runs, want %d", len(got), len(want))
		}
		for i := range got {
			if got[i].m.Sequence != want[i] {
				t.Fatalf("run %d was of message %d, want %d", i, got[i].m.Sequence, want[i])
			}
			if i > 0 && got[i].at.Sub(got[i-1].at) < time.Millisecond {
				t.Fatalf("runs %d and %d overlap", i-1, i)
			}
		}
	})
}
