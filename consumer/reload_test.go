package consumer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

func (r *rig) reload(cfg consumer.Config) {
	r.t.Helper()
	if err := r.c.Reload(cfg); err != nil {
		r.t.Fatal(err)
	}
}

func TestReloadChangesHowTenantsAreTreatedWhileTheyWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		for range 20 {
			r.publish("jobs.acme.x", "")
			r.publish("jobs.bolt.x", "")
		}
		r.run(config(t, func(cfg *consumer.Config) { cfg.Tenants.MaxInFlight = 1 }), consumer.HandlerFunc(g.wait))
		time.Sleep(time.Second)
		if a := r.tenant("acme"); a.InFlight != 1 {
			t.Fatalf("%d of acme run", a.InFlight)
		}
		r.reload(config(t, func(cfg *consumer.Config) {
			cfg.Tenants.MaxInFlight = 3
			cfg.PolicyFor = func(tenant string, p *consumer.TenantPolicy) {
				if tenant == "bolt" {
					p.MaxInFlight, p.Weight = 5, 2
				}
			}
		}))
		time.Sleep(time.Second)
		if a, b := r.tenant("acme"), r.tenant("bolt"); a.InFlight != 3 || b.InFlight != 5 || b.Weight != 2 {
			t.Errorf("%d of acme and %d of bolt run, of weight %v; want 3, 5 and 2", a.InFlight, b.InFlight, b.Weight)
		}
		g.release()
	})
}

func TestReloadGrowsAndShrinksTheWorkersWithoutInterruptingAHandler(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, gates := newRig(t), make(chan struct{})
		var running, ended atomic.Int64
		h := consumer.HandlerFunc(func(ctx context.Context, _ *consumer.Message) error {
			running.Add(1)
			defer running.Add(-1)
			select {
			case <-gates:
			case <-ctx.Done():
				ended.Add(1)
			}
			return nil
		})
		for i := range 200 {
			r.publish(fmt.Sprintf("jobs.t%d.x", i%7), "")
		}
		with := func(n int) consumer.Config {
			return config(t, func(cfg *consumer.Config) { cfg.Workers = n })
		}
		want := func(n int64) {
			t.Helper()
			time.Sleep(time.Second)
			if got, s := running.Load(), r.c.Snapshot(); got != n || int64(s.InFlight) != n {
				t.Fatalf("%d handlers run, the snapshot says %d, want %d", got, s.InFlight, n)
			}
		}
		finish := func(n int) {
			for range n {
				gates <- struct{}{}
			}
		}
		r.run(with(4), h)
		want(4)
		r.reload(with(10))
		want(10)
		r.reload(with(3))
		want(10) // nobody was interrupted
		finish(5)
		want(5)
		r.reload(with(8)) // those who were to go stay
		want(8)
		r.reload(with(1))
		r.reload(with(6))
		r.reload(with(2))
		finish(6)
		want(2)
		r.reload(with(64))
		want(64)
		close(gates)
		eventually(t, time.Minute, "all are handled", r.settled)
		r.reload(with(1)) // all are idle
		time.Sleep(time.Second)
		if ended.Load() != 0 {
			t.Errorf("the contexts of %d handlers ended", ended.Load())
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
	})
}

func TestReloadChangesTheRetry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), record(func(context.Context, *consumer.Message) error { return errBoom })
		r.run(config(t, func(cfg *consumer.Config) { cfg.Retry.Initial = time.Second }), h)
		r.publish("jobs.acme.x", "")
		time.Sleep(500 * time.Millisecond)
		r.reload(config(t, func(cfg *consumer.Config) {
			cfg.Retry = consumer.Retry{MaxAttempts: 3, Initial: 10 * time.Second, Multiplier: 1, Jitter: -1}
		}))
		time.Sleep(time.Minute)
		if got := strings.Join(h.attempts(), " "); got != "1@0s 2@1s 3@11s" || len(r.letters()) != 1 {
			t.Errorf("attempts are %s, with %d dead letters", got, len(r.letters()))
		}
	})
}

func TestReloadAddsChangesAndRemovesDownstreams(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		for range 30 {
			r.publish("jobs.acme.billing", "")
			r.publish("jobs.bolt.mail", "")
		}
		with := func(ds map[string]consumer.Downstream) consumer.Config {
			return config(t, func(cfg *consumer.Config) { cfg.Downstreams = ds })
		}
		fixed := func(n int) consumer.Downstream {
			return consumer.Downstream{Limit: consumer.Limit{Algorithm: limiter.Fixed, Max: n}, Breaker: consumer.Breaker{Disabled: true}}
		}
		free := consumer.Downstream{Limit: consumer.Limit{Algorithm: limiter.None}, Breaker: consumer.Breaker{Disabled: true}}
		want := func(billing, mail int) {
			t.Helper()
			time.Sleep(time.Second)
			b, m := r.downstream("billing"), r.downstream("mail")
			if b.InFlight != billing || m.InFlight != mail {
				t.Errorf("%d and %d run, want %d and %d", b.InFlight, m.InFlight, billing, mail)
			}
		}
		r.run(with(map[string]consumer.Downstream{"billing": fixed(2), "mail": fixed(3)}), routes(consumer.HandlerFunc(g.wait), consumer.HandlerFunc(g.wait)))
		want(2, 3)
		r.reload(with(map[string]consumer.Downstream{"billing": fixed(4), "mail": fixed(3)}))
		want(4, 3)
		r.reload(with(map[string]consumer.Downstream{"billing": fixed(4)})) // mail has the defaults
		want(4, 10)
		if l := r.downstream("mail").Limit; l == nil || l.Algorithm != string(limiter.Adaptive) || r.downstream("mail").Breaker == nil {
			t.Errorf("the limit of what is not configured is %+v", l)
		}
		r.reload(with(map[string]consumer.Downstream{"billing": free}))
		want(30, 10)
		if d := r.downstream("billing"); d.Limit != nil || d.Breaker != nil {
			t.Errorf("there is a limit or a breaker: %+v", d)
		}
		g.release()
	})
}

func TestReloadKeepsWhatWasLearned(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), newFlaky(true)
		for i := range 10 {
			r.publish(fmt.Sprintf("jobs.t%d.billing", i), "")
		}
		with := func(workers int, d consumer.Downstream) consumer.Config {
			return config(t, func(cfg *consumer.Config) {
				cfg.Workers, cfg.Downstreams = workers, map[string]consumer.Downstream{"billing": d}
			})
		}
		d := tripAfter(5, 100*time.Second)
		d.Rate = limiter.Rate{Events: 1, Per: time.Hour, Burst: 7}
		r.run(with(1, d), routes(h, nil))
		time.Sleep(2 * time.Second)
		before := r.downstream("billing")
		if before.Breaker.State != consumer.BreakerOpen {
			t.Fatalf("the breaker is %s", before.Breaker.State)
		}
		r.reload(with(2, d))
		d.Breaker.MinCalls++
		d.Rate.Burst = 6
		r.reload(with(2, d))
		after := r.downstream("billing")
		if after.Breaker.State != consumer.BreakerOpen || !after.Breaker.Until.Equal(before.Breaker.Until) {
			t.Errorf("the breaker was %+v and is %+v", before.Breaker, after.Breaker)
		}
		h.down.Store(false)
		d.Breaker = consumer.Breaker{Disabled: true}
		r.reload(with(2, d))
		time.Sleep(time.Second)
		// Five of seven tokens were taken, and two are left of the bucket that was made smaller.
		if n := len(h.all()); n != 7 {
			t.Errorf("%d messages ran, want 7", n)
		}
	})
}

func TestAReloadThatIsRefusedChangesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		for range 10 {
			r.publish("jobs.acme.billing", "")
		}
		good := func(cfg *consumer.Config) {
			cfg.Workers, cfg.Tenants.MaxInFlight = 4, 2
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Limit: consumer.Limit{Algorithm: limiter.Fixed, Max: 3}}}
		}
		r.run(config(t, good), routes(consumer.HandlerFunc(g.wait), nil))
		time.Sleep(time.Second)
		state := func() string {
			s := r.c.Snapshot()
			b, err := json.Marshal([]any{s.Workers, s.Tenants, s.Downstreams})
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		before := state()
		for name, tt := range map[string]struct {
			change func(cfg *consumer.Config)
			want   []string
		}{
			"what is fixed": {func(cfg *consumer.Config) {
				cfg.Stream, cfg.Durable, cfg.Subjects, cfg.AckWait = "OTHER", "v", []string{"x"}, time.Minute
				cfg.Buffer.Messages, cfg.Overflow.MaxBytes, cfg.Unmanaged, cfg.DrainTimeout = 9, 1<<20, true, time.Second
				cfg.FilterSubjects, cfg.Tenant = []string{"jobs.a.>"}, nil
			}, []string{
				"consumer: Reload cannot change AckWait, Buffer.Messages, DrainTimeout, Durable, FilterSubjects, Overflow.MaxBytes, Stream, Subjects, Tenant, Unmanaged: make a new Consumer for that",
			}},
			"what New refuses": {func(cfg *consumer.Config) {
				cfg.Workers, cfg.Tenants.Weight = -1, 5000
			}, []string{"Workers is -1, must be between 1 and 65536", "Tenants.Weight is 5000"}},
			"a downstream of no route": {func(cfg *consumer.Config) {
				cfg.Downstreams["bilking"] = consumer.Downstream{}
			}, []string{"Downstreams[bilking] is used by no route"}},
			"a shared rate that fails": {func(cfg *consumer.Config) {
				cfg.Downstreams["billing"] = consumer.Downstream{Rate: limiter.Rate{Events: 1, Per: time.Second}, SharedRate: true}
				cfg.SharedRate = func(string, limiter.Rate) (consumer.RateLimiter, error) { return nil, errBoom }
			}, []string{"Downstreams[billing]: " + errBoom.Error()}},
		} {
			cfg := config(t, good)
			cfg.Workers, cfg.Tenants.MaxInFlight, cfg.Retry.MaxAttempts = 9, 9, 1
			tt.change(&cfg)
			wantError(t, r.c.Reload(cfg), tt.want...)
			time.Sleep(time.Second)
			if after := state(); after != before {
				t.Errorf("%s: the state was\n%s\nand is\n%s", name, before, after)
			}
		}
		g.release()
	})
}

func TestReloadBeforeRunIsAsIfNewHadBeenGivenIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		for range 9 {
			r.publish("jobs.acme.x", "")
		}
		c, err := consumer.New(r.js, config(t, nil), consumer.HandlerFunc(g.wait))
		if err != nil {
			t.Fatal(err)
		}
		r.c = c
		r.reload(config(t, func(cfg *consumer.Config) { cfg.Workers = 2 }))
		r.start(c)
		time.Sleep(time.Second)
		if s := c.Snapshot(); s.Workers != 2 || s.InFlight != 2 {
			t.Errorf("%d workers, %d busy; want 2", s.Workers, s.InFlight)
		}
		g.release()
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		wantError(t, c.Reload(config(t, nil)), "the consumer is stopped")
	})
}
