package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

func (r *rig) mainLane() consumer.LaneState {
	return (&process{t: r.t, c: r.c}).lane(consumer.LaneMain)
}

func TestThePullStopsWhileNoDownstreamTakesAnything(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, billing, mail := newRig(t), newFlaky(true), newFlaky(true)
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Retry.Initial, cfg.Retry.Max = time.Hour, time.Hour
			cfg.Downstreams = map[string]consumer.Downstream{"billing": tripAfter(1, 100*time.Second), "mail": tripAfter(1, 100*time.Second)}
		}), routes(billing, mail))
		r.publish("jobs.acme.billing", "")
		time.Sleep(time.Second)
		if l := r.mainLane(); l.Paused != "" {
			t.Errorf("one of two breakers is open, and the pull is paused: %s", l.Paused)
		}
		r.publish("jobs.acme.mail", "")
		time.Sleep(15 * time.Second) // requests that were out have expired
		l := r.mainLane()
		if l.Paused != consumer.PauseBreaker || l.Requested != 0 {
			t.Fatalf("no downstream may run, and the lane is %+v", l)
		}
		for i := range 40 {
			r.publish(fmt.Sprintf("jobs.t%d.%s", i, []string{"billing", "mail"}[i%2]), "")
		}
		time.Sleep(30 * time.Second)
		if held := r.c.Snapshot().Held; held != 0 {
			t.Errorf("%d messages were pulled that nobody takes", held)
		}
		billing.down.Store(false)
		mail.down.Store(false)
		until := r.downstream("billing").Until
		if other := r.downstream("mail").Until; other.After(until) {
			until = other
		}
		time.Sleep(time.Until(until) + 3*time.Second)
		if n := len(billing.all()) + len(mail.all()); n != 42 {
			t.Errorf("%d messages ran once both could be tried, want 42", n)
		}
		if l := r.mainLane(); l.Paused != "" {
			t.Errorf("the pull is still paused: %s", l.Paused)
		}
	})
}

// One breaker may be tried and its messages are behind those of one that may not.
func TestATrickleFindsAMessageForABreakerThatIsToBeTried(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, billing, mail := newRig(t), newFlaky(true), newFlaky(true)
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Retry.Initial, cfg.Retry.Max = 24*time.Hour, 24*time.Hour
			cfg.Downstreams = map[string]consumer.Downstream{"billing": tripAfter(1, time.Hour), "mail": tripAfter(1, 20*time.Second)}
		}), routes(billing, mail))
		r.publish("jobs.acme.billing", "")
		r.publish("jobs.acme.mail", "")
		time.Sleep(15 * time.Second)
		for range 5 {
			r.publish("jobs.acme.billing", "")
		}
		r.publish("jobs.acme.mail", "")
		mail.down.Store(false)
		time.Sleep(35 * time.Second)
		if n := len(mail.all()); n != 2 {
			t.Errorf("%d messages ran for the breaker that could be tried, want 2", n)
		}
		if s := r.downstream("mail").Breaker.State; s != consumer.BreakerClosed {
			t.Errorf("it is %s", s)
		}
	})
}

func TestThePullStopsWhileTheOnlyDownstreamRests(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		for i := range 70 {
			r.publish(fmt.Sprintf("jobs.t%d.x", i), "")
		}
		r.run(config(t, nil), consumer.HandlerFunc(func(context.Context, *consumer.Message) error { return consumer.Overloaded(errBoom, 0) }))
		seen := false
		for range 100 {
			time.Sleep(100 * time.Millisecond)
			seen = seen || r.mainLane().Paused == consumer.PauseRest
		}
		if !seen {
			t.Error("the pull was never paused")
		}
	})
}

// budget is a RateLimiter of another process: it admits so many, and says when more come.
type budget struct {
	mu     sync.Mutex
	tokens int
	lie    bool // it admits nothing, whatever it says
	asked  int
}

func (b *budget) AllowN(_ time.Time, n int) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked++
	if b.lie || b.tokens < n {
		return false
	}
	b.tokens -= n
	return true
}

func (b *budget) Next(now time.Time, n int) (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lie || b.tokens >= n {
		return now, true
	}
	return now.Add(time.Second), true
}

func (b *budget) Refund(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.tokens += n
}

func TestASharedRateIsAskedForByItsName(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h, b := newRig(t), record(nil), &budget{tokens: 3}
		for i := range 10 {
			r.publish(fmt.Sprintf("jobs.t%d.billing", i), "")
		}
		rate := limiter.Rate{Events: 5, Per: time.Second, Burst: 2}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Rate: rate, SharedRate: true}}
			cfg.SharedRate = func(key string, got limiter.Rate) (consumer.RateLimiter, error) {
				if key != "downstream:billing" || got != rate {
					t.Errorf("asked for %q at %v", key, got)
				}
				return b, nil
			}
		}), routes(h, nil))
		time.Sleep(10 * time.Second)
		if n := len(h.all()); n != 3 {
			t.Errorf("%d messages ran with 3 tokens", n)
		}
		b.mu.Lock()
		b.tokens = 5
		b.mu.Unlock()
		time.Sleep(2 * time.Second)
		if n := len(h.all()); n != 8 {
			t.Errorf("%d messages ran with 8 tokens", n)
		}
		b.mu.Lock()
		b.lie, b.asked = true, 0
		b.mu.Unlock()
		time.Sleep(time.Second)
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.asked > 2100 {
			t.Errorf("a rate that does not keep its word was asked %d times in a second", b.asked)
		}
		for _, run := range h.all() {
			if run.m.Attempt != 1 || run.m.Deliveries != 1 {
				t.Errorf("message %d ran as attempt %d, delivery %d", run.m.Sequence, run.m.Attempt, run.m.Deliveries)
			}
		}
	})
}

func TestMistakesOfDownstreamsAreNamed(t *testing.T) {
	for name, tt := range map[string]struct {
		d    consumer.Downstream
		want string
	}{
		"algorithm":       {consumer.Downstream{Limit: consumer.Limit{Algorithm: "fast"}}, `Downstreams[billing].Limit.Algorithm is "fast", must be one of adaptive, fixed`},
		"bounds":          {consumer.Downstream{Limit: consumer.Limit{Min: 9, Max: 3}}, `Downstreams[billing].Limit.Min is 9, must be at most Max, which is 3`},
		"fixed":           {consumer.Downstream{Limit: consumer.Limit{Algorithm: limiter.Fixed}}, `Downstreams[billing].Limit.Max is 0, must be at least 1 for fixed`},
		"target":          {consumer.Downstream{Limit: consumer.Limit{Algorithm: limiter.SLO}}, `Downstreams[billing].Limit.Target is 0s, must be above 0 for slo`},
		"target of other": {consumer.Downstream{Limit: consumer.Limit{Target: time.Second}}, `Downstreams[billing].Limit.Target is 1s, must be 0 for adaptive`},
		"ratio":           {consumer.Downstream{Breaker: consumer.Breaker{FailureRatio: 2}}, `Downstreams[billing].Breaker.FailureRatio is 2, must be above 0 and at most 1`},
		"max open":        {consumer.Downstream{Breaker: consumer.Breaker{Open: time.Hour, MaxOpen: time.Minute}}, `Downstreams[billing].Breaker.MaxOpen is 1m0s, must be at least Downstreams[billing].Breaker.Open, which is 1h0m0s`},
		"off and more":    {consumer.Downstream{Breaker: consumer.Breaker{Disabled: true, MinCalls: 3}}, `Downstreams[billing].Breaker.Disabled is true, must not be with other fields`},
		"rate":            {consumer.Downstream{Rate: limiter.Rate{Events: -1, Per: time.Second}}, `Downstreams[billing].Rate.Events is -1, must be above 0 and finite`},
		"shared, no rate": {consumer.Downstream{SharedRate: true}, `Downstreams[billing].SharedRate is true, must not be without Downstreams[billing].Rate`},
		"nobody to share": {consumer.Downstream{Rate: limiter.Rate{Events: 1, Per: time.Second}, SharedRate: true}, `Downstreams[billing].SharedRate is true, must not be without Config.SharedRate`},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := config(t, func(cfg *consumer.Config) { cfg.Downstreams = map[string]consumer.Downstream{"billing": tt.d} })
			_, err := consumer.New(offline(t), cfg, routes(record(nil), nil))
			wantError(t, err, tt.want)
		})
	}
	cfg := config(t, func(cfg *consumer.Config) {
		cfg.Downstreams = map[string]consumer.Downstream{"biling": {}}
		cfg.Tenants.Rate = limiter.Rate{Events: 5}
	})
	wantError(t, cfg.Validate(), "Tenants.Rate.Per is 0s, must be above 0")
	cfg.Tenants.Rate = limiter.Rate{}
	_, err := consumer.New(offline(t), cfg, routes(record(nil), record(nil)))
	wantError(t, err, "Downstreams[biling] is used by no route, must be one of those that routes name: billing, mail")
	cfg.Downstreams = map[string]consumer.Downstream{"billing": {Rate: limiter.Rate{Events: 1, Per: time.Second}, SharedRate: true}}
	cfg.SharedRate = func(string, limiter.Rate) (consumer.RateLimiter, error) { return nil, errBoom }
	if _, err := consumer.New(offline(t), cfg, routes(record(nil), nil)); !errors.Is(err, errBoom) {
		t.Errorf("the error of SharedRate is %v", err)
	}
	cfg.SharedRate = func(string, limiter.Rate) (consumer.RateLimiter, error) { return nil, nil }
	_, err = consumer.New(offline(t), cfg, routes(record(nil), nil))
	wantError(t, err, "Downstreams[billing]: nothing came from Config.SharedRate for 1/s")
}

// Whatever limits, breakers and rests do, every message is handled in the end, and no
// worker sleeps while something could run.
func TestNoWakeUpIsLostWhateverDownstreamsDo(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		type plan struct {
			failures, overloads int // of the first runs
			slow                time.Duration
		}
		plans := make(map[string]plan)
		downstreams := make(map[string]consumer.Downstream)
		for _, name := range []string{"billing", "mail"} {
			plans[name] = plan{
				failures:  rapid.IntRange(0, 30).Draw(rt, name+" failures"),
				overloads: rapid.IntRange(0, 9).Draw(rt, name+" overloads"),
				slow:      time.Duration(rapid.IntRange(0, 50).Draw(rt, name+" ms")) * time.Millisecond,
			}
			d := tripAfter(rapid.IntRange(1, 5).Draw(rt, name+" min calls"), time.Duration(rapid.IntRange(1, 3000).Draw(rt, name+" open ms"))*time.Millisecond)
			d.Breaker.Probes = rapid.IntRange(1, 3).Draw(rt, name+" probes")
			d.Limit = consumer.Limit{Algorithm: rapid.SampledFrom([]limiter.Algorithm{limiter.Adaptive, limiter.AIMD, limiter.None}).Draw(rt, name+" limit"), Initial: rapid.IntRange(1, 4).Draw(rt, name+" initial")}
			if rapid.Bool().Draw(rt, name+" rated") {
				d.Rate = limiter.Rate{Events: 50, Per: time.Second, Burst: rapid.IntRange(1, 9).Draw(rt, name+" burst")}
			}
			downstreams[name] = d
		}
		workers := rapid.IntRange(1, 8).Draw(rt, "workers")
		messages := rapid.IntRange(1, 120).Draw(rt, "messages")
		inBubble(t, func(t *testing.T) {
			var handled, faults [2]atomic.Int64
			handler := func(i int, p plan) consumer.Handler {
				return consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
					time.Sleep(p.slow)
					switch n := int(faults[i].Add(1)); {
					case n <= p.failures:
						return errBoom
					case n <= p.failures+p.overloads:
						return consumer.Overloaded(errBoom, 0)
					}
					handled[i].Add(1)
					return nil
				})
			}
			r := newRig(t)
			for i := range messages {
				r.publish(fmt.Sprintf("jobs.t%d.%s", i%5, []string{"billing", "mail"}[i%2]), "")
			}
			r.run(config(t, func(cfg *consumer.Config) {
				cfg.Workers, cfg.Downstreams = workers, downstreams
				cfg.Retry.MaxAttempts, cfg.Retry.Max = 1000, time.Second
				cfg.Logger = nil
			}), routes(handler(0, plans["billing"]), handler(1, plans["mail"])))
			for deadline := time.Now().Add(time.Hour); handled[0].Load()+handled[1].Load() < int64(messages); time.Sleep(50 * time.Millisecond) {
				s := r.c.Snapshot()
				if idle := r.idleAndRunnable(s); idle != "" {
					time.Sleep(time.Microsecond) // a wake-up may be on its way
					if s = r.c.Snapshot(); r.idleAndRunnable(s) == idle {
						t.Fatalf("workers are idle, and %s", idle)
					}
				}
				if time.Now().After(deadline) {
					t.Fatalf("%d and %d of %d handled after an hour: %+v %+v", handled[0].Load(), handled[1].Load(), messages, s.Downstreams, s.Tenants)
				}
			}
		})
	})
}

// idleAndRunnable says what could run while a worker is idle, "" if nothing.
func (r *rig) idleAndRunnable(s consumer.Snapshot) string {
	if s.InFlight >= s.Workers {
		return ""
	}
	var found []string
	for _, tenant := range s.Tenants {
		if w := tenant.Waiting; w != nil && (w.For == consumer.WaitTurn || w.For == consumer.WaitWorkers) {
			found = append(found, fmt.Sprintf("%s waits for %s of %s", tenant.Tenant, w.For, w.Downstream))
		}
	}
	return strings.Join(found, ", ")
}
