package consumer_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

func (r *rig) tenant(name string) consumer.TenantState {
	r.t.Helper()
	for _, s := range r.c.Snapshot().Tenants {
		if s.Tenant == name {
			return s
		}
	}
	r.t.Fatalf("tenant %s is not known", name)
	return consumer.TenantState{}
}

func TestTheSnapshotSaysWhyATenantWaits(t *testing.T) {
	perMinute := limiter.Rate{Events: 1, Per: time.Minute, Burst: 1}
	overloaded := func(context.Context, *consumer.Message) error { return consumer.Overloaded(errBoom, time.Minute) }
	fail := func(context.Context, *consumer.Message) error { return errBoom }
	for name, tt := range map[string]struct {
		config  func(cfg *consumer.Config)
		handle  func(context.Context, *consumer.Message) error // default: waits for the end of the test
		others  int                                            // tenants that came before it
		want    consumer.WaitReason
		until   time.Duration // since the start; 0: not known
		atLeast bool          // until is the least
	}{
		"its turn":    {others: 3, want: consumer.WaitTurn, config: func(cfg *consumer.Config) { cfg.Workers = 1 }},
		"the workers": {want: consumer.WaitWorkers, config: func(cfg *consumer.Config) { cfg.Workers = 1 }},
		"its cap":     {want: consumer.WaitCap, config: func(cfg *consumer.Config) { cfg.Tenants.MaxInFlight = 1 }},
		"its rate":    {want: consumer.WaitRate, until: time.Minute, config: func(cfg *consumer.Config) { cfg.Tenants.Rate = perMinute }},
		"an overload answer": {
			want: consumer.WaitBackoff, until: time.Minute, handle: overloaded,
			config: func(cfg *consumer.Config) { cfg.Workers = 1 },
		},
		"the limit of its downstream": {want: consumer.WaitDownstreamLimit, config: func(cfg *consumer.Config) {
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Limit: consumer.Limit{Algorithm: limiter.Fixed, Max: 1}}}
		}},
		"the rate of its downstream": {want: consumer.WaitDownstreamRate, until: time.Minute, config: func(cfg *consumer.Config) {
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Rate: perMinute}}
		}},
		"the breaker of its downstream": {
			want: consumer.WaitDownstreamBreaker, until: 80 * time.Second, atLeast: true, handle: fail,
			config: func(cfg *consumer.Config) {
				cfg.Downstreams = map[string]consumer.Downstream{"billing": tripAfter(1, 100*time.Second)}
			},
		},
		"the rest of its downstream": {
			want: consumer.WaitDownstreamRest, until: time.Second, atLeast: true, others: 64,
			handle: func(context.Context, *consumer.Message) error { return consumer.Overloaded(errBoom, time.Millisecond) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r, g := newRig(t), newGate(t)
				for i := range tt.others {
					r.publish(fmt.Sprintf("jobs.other%d.billing", i), "")
				}
				for range 4 {
					r.publish("jobs.acme.billing", "")
				}
				handle := tt.handle
				if handle == nil {
					handle = g.wait
				}
				start := time.Now()
				r.run(config(t, tt.config), routes(consumer.HandlerFunc(handle), nil))
				time.Sleep(2 * time.Second)
				w := r.tenant("acme").Waiting
				if w == nil || w.For != tt.want || w.Downstream != "billing" {
					t.Fatalf("it waits for %+v, want %s", w, tt.want)
				}
				if w.Since.Before(start) || w.Since.After(time.Now()) {
					t.Errorf("it waits since %v", w.Since)
				}
				switch until := start.Add(tt.until); {
				case tt.until == 0 && !w.Until.IsZero():
					t.Errorf("it waits until %v, want no time", w.Until)
				case tt.atLeast && w.Until.Before(until), tt.until > 0 && !tt.atLeast && w.Until.Sub(until).Abs() > 10*time.Millisecond:
					t.Errorf("it waits until %v, want %v", w.Until, until)
				}
				g.release()
			})
		})
	}
}

func TestATenantThatIsServedWaitsForNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		r.publish("jobs.acme.x", "")
		r.run(config(t, nil), consumer.HandlerFunc(g.wait))
		time.Sleep(time.Second)
		if s := r.tenant("acme"); s.Waiting != nil || s.InFlight != 1 {
			t.Errorf("its state is %+v, waiting %+v", s, s.Waiting)
		}
		g.release()
	})
}

func TestCapsOfTenantsHoldAndOthersGoOn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		var running, most, others atomic.Int64
		h := consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
			if m.Tenant != "capped" {
				others.Add(1)
				return nil
			}
			n := running.Add(1)
			most.Store(max(most.Load(), n))
			time.Sleep(time.Second)
			running.Add(-1)
			return nil
		})
		for i := range 60 {
			r.publish("jobs.capped.x", "")
			r.publish(fmt.Sprintf("jobs.t%d.x", i), "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.PolicyFor = func(tenant string, p *consumer.TenantPolicy) {
				if tenant == "capped" {
					p.MaxInFlight = 3
				}
			}
		}), h)
		time.Sleep(500 * time.Millisecond)
		if others.Load() != 60 {
			t.Errorf("%d of 60 messages of others were handled beside it", others.Load())
		}
		eventually(t, time.Minute, "all are handled", r.settled)
		if most.Load() != 3 {
			t.Errorf("%d ran at once, want 3", most.Load())
		}
	})
}

// wantRate checks that messages ran as a bucket of burst and interval lets them, each as
// soon as it may.
func wantRate(t *testing.T, runs []run, n, burst int, interval time.Duration) {
	t.Helper()
	if len(runs) != n {
		t.Fatalf("%d messages ran, want %d", len(runs), n)
	}
	for i, run := range runs {
		want := runs[0].at.Add(max(0, time.Duration(i-burst+1)*interval))
		if late := run.at.Sub(want); late < -time.Microsecond || late > time.Microsecond {
			t.Fatalf("run %d was %v after its token came", i, late)
		}
	}
}

func TestARateOfATenantHoldsExactly(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), record(nil)
		for range 50 {
			r.publish("jobs.acme.x", "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Tenants.Rate = limiter.Rate{Events: 10, Per: time.Second, Burst: 5}
		}), h)
		time.Sleep(4490 * time.Millisecond)
		wantRate(t, h.all(), 49, 5, 100*time.Millisecond)
		time.Sleep(time.Second)
		wantRate(t, h.all(), 50, 5, 100*time.Millisecond)
		if n := r.settledAs(consumer.OutcomeHandBack) + r.settledAs(consumer.OutcomeDelay); n != 0 {
			t.Errorf("%d messages were handed back", n)
		}
	})
}

func TestARateOfADownstreamHoldsExactlyOverAllTenants(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h, mail := newRig(t), record(nil), record(nil)
		for i := range 100 {
			r.publish(fmt.Sprintf("jobs.t%d.billing", i%9), "")
			r.publish(fmt.Sprintf("jobs.t%d.mail", i%9), "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Rate: limiter.Rate{Events: 7, Per: time.Second, Burst: 20}}}
			cfg.Buffer.TargetDelay = time.Minute // what is shed comes back a moment later than its token
		}), routes(h, mail))
		time.Sleep(990 * time.Millisecond)
		wantRate(t, h.all(), 26, 20, time.Second/7)
		if n := len(mail.all()); n != 100 {
			t.Errorf("%d messages of the other downstream were handled", n)
		}
		time.Sleep(20 * time.Second)
		wantRate(t, h.all(), 100, 20, time.Second/7)
	})
}

func TestHandlersThatIgnoreTheirContextAreListed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		for i := range 3 {
			r.publish(fmt.Sprintf("jobs.t%d.billing", i), "")
		}
		m := new(consumer.Mux)
		m.Route(consumer.Route{Subject: "jobs.>", Downstream: "billing", Timeout: 10 * time.Second, Handler: consumer.HandlerFunc(g.wait)})
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Limit: consumer.Limit{Algorithm: limiter.Fixed, Max: 2}}}
		}), m)
		synctest.Wait()
		start := time.Now()
		time.Sleep(14 * time.Second)
		if s := r.c.Snapshot(); s.Stuck != 0 || len(s.StuckHandlers) != 0 {
			t.Errorf("stuck too early: %+v", s.StuckHandlers)
		}
		time.Sleep(2 * time.Second)
		s := r.c.Snapshot()
		if s.Stuck != 2 || len(s.StuckHandlers) != 2 {
			t.Fatalf("%d are stuck: %+v", s.Stuck, s.StuckHandlers)
		}
		for i, h := range s.StuckHandlers {
			want := fmt.Sprintf("jobs.t%d.billing", i)
			if h.Subject != want || h.Tenant != fmt.Sprint("t", i) || h.Downstream != "billing" || h.Sequence != uint64(i+1) || h.Since.Sub(start).Round(time.Second) != 10*time.Second {
				t.Errorf("stuck is %+v, want %s since 10s", h, want)
			}
		}
		if d := r.downstream("billing"); d.InFlight != 2 || r.tenant("t2").Waiting.For != consumer.WaitDownstreamLimit {
			t.Errorf("a stuck handler gave up its place: %+v", d)
		}
		g.release()
	})
}

func TestATenantShowsHowFullItsFullestQueueIs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		for range 4 {
			r.publish("jobs.acme.billing", "")
		}
		r.publish("jobs.acme.mail", "")
		h := consumer.HandlerFunc(g.wait)
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants = 1, consumer.TenantPolicy{Queue: 8, High: 0.5, Low: 0.25}
		}), routes(h, h))
		time.Sleep(time.Second)
		if s := r.tenant("acme"); s.Queued != 4 || s.Fullest != 3 || s.QueueMax != 8 || s.QueueHigh != 4 {
			t.Errorf("queued %d, in its fullest queue %d of %d, which sheds at %d; want 4, 3, 8 and 4", s.Queued, s.Fullest, s.QueueMax, s.QueueHigh)
		}
		g.release()
	})
}

func TestObserversAreToldOfTheTimeOnceASecondWhileItRuns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		c, err := consumer.New(r.js, config(t, nil), consumer.HandlerFunc(func(context.Context, *consumer.Message) error { return nil }))
		if err != nil {
			t.Fatal(err)
		}
		var ticks []time.Time
		if err := c.Observe(consumer.Observer{Tick: func(now time.Time) { ticks = append(ticks, now) }}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		r.start(c)
		time.Sleep(3500 * time.Millisecond)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		n := len(ticks)
		time.Sleep(5 * time.Second)
		if n < 3 || len(ticks) != n {
			t.Fatalf("told %d times in 3.5s and %d times after it had ended", n, len(ticks)-n)
		}
		for i, at := range ticks {
			if late := at.Sub(start) - time.Duration(i+1)*time.Second; late < 0 || late > 100*time.Millisecond {
				t.Errorf("tick %d came %v late", i, late)
			}
		}
	})
}
