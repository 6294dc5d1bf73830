package consumer_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

// A bank has a token bucket for each key, for all processes, as Redis would.
type bank struct {
	mu      sync.Mutex
	buckets map[string]*limiter.TokenBucket
	asked   []string
	cutOff  bool
}

func (b *bank) shared(key string, r limiter.Rate) (consumer.RateLimiter, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.asked = append(b.asked, key)
	if b.buckets[key] == nil {
		bucket, err := limiter.NewTokenBucket(r)
		if err != nil {
			return nil, err
		}
		if b.buckets == nil {
			b.buckets = make(map[string]*limiter.TokenBucket)
		}
		b.buckets[key] = bucket
	}
	if err := b.buckets[key].SetRate(r); err != nil {
		return nil, err
	}
	return account{b.buckets[key], b}, nil
}

func (b *bank) keys() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.asked)
}

// account is a RateLimiter that knows whether the bank is cut off.
type account struct {
	*limiter.TokenBucket
	b *bank
}

func (a account) Degraded() bool {
	a.b.mu.Lock()
	defer a.b.mu.Unlock()
	return a.b.cutOff
}

func (b *bank) cut(off bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cutOff = off
}

// sharedTenants gives all tenants a shared rate.
func sharedTenants(b *bank, events float64, burst int) func(cfg *consumer.Config) {
	return func(cfg *consumer.Config) {
		cfg.Tenants.Rate = limiter.Rate{Events: events, Per: time.Second, Burst: burst}
		cfg.Tenants.SharedRate = true
		cfg.SharedRate = b.shared
	}
}

func TestTheSharedRateOfATenantHoldsForAllProcessesAndOthersPassIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, b, h := newRig(t), new(bank), record(nil)
		for i := range 400 {
			r.publish("jobs.acme.x", "")
			if i < 100 {
				r.publish(fmt.Sprintf("jobs.t%d.x", i), "")
			}
		}
		begun := time.Now()
		var fleet []*process
		for range 3 {
			fleet = append(fleet, r.process(config(t, sharedTenants(b, 10, 5)), h))
		}
		time.Sleep(2 * time.Second)
		others := 0
		for _, run := range h.all() {
			if run.m.Tenant != "acme" {
				others++
			}
		}
		if others != 100 {
			t.Errorf("%d of 100 messages of others were handled", others)
		}
		eventually(t, 2*time.Minute, "all are handled", func() bool { return len(h.all()) == 500 })
		if took := time.Since(begun); took < 39*time.Second || took > 41*time.Second {
			t.Errorf("395 messages at 10/s took %v", took)
		}
		var acme []time.Time
		for _, run := range h.all() {
			if run.m.Attempt != 1 || run.m.Deliveries != 1 {
				t.Fatalf("message %d ran as attempt %d, delivery %d", run.m.Sequence, run.m.Attempt, run.m.Deliveries)
			}
			if run.m.Tenant == "acme" {
				acme = append(acme, run.at)
			}
		}
		for i := range acme {
			if n := i + 5; n < len(acme) && acme[n].Sub(acme[i]) < 100*time.Millisecond-time.Microsecond {
				t.Fatalf("6 messages started within %v", acme[n].Sub(acme[i]))
			}
		}
		for _, p := range fleet {
			if s := p.c.Snapshot(); s.LeasesLost > 0 {
				t.Errorf("%d leases were lost", s.LeasesLost)
			}
		}
	})
}

// A refusal costs nothing but a look: nobody polls.
func TestATenantWithoutATokenIsNotAskedAboutUntilThereMayBeOne(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h, b := newRig(t), record(nil), &budget{tokens: 2}
		for range 50 {
			r.publish("jobs.acme.x", "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			sharedTenants(nil, 5, 2)(cfg)
			cfg.SharedRate = func(string, limiter.Rate) (consumer.RateLimiter, error) { return b, nil }
		}), h)
		time.Sleep(100*time.Second + time.Millisecond)
		b.mu.Lock()
		asked := b.asked
		b.mu.Unlock()
		if n := len(h.all()); n != 2 {
			t.Errorf("%d messages ran with 2 tokens", n)
		}
		if asked > 200 || asked < 100 {
			t.Errorf("it was asked %d times in 100 s, and each second there might have been a token", asked)
		}
		t.Logf("asked %d times in 100 s", asked)
		s := r.tenant("acme")
		if s.Waiting == nil || s.Waiting.For != consumer.WaitRate || s.Waiting.Until.Before(time.Now()) || s.Waiting.Until.After(time.Now().Add(time.Second)) {
			t.Errorf("it waits for %+v", s.Waiting)
		}
		if !s.RateShared || s.RateDegraded || s.Rate != "5/s" || s.InFlight != 0 {
			t.Errorf("its state is %+v", s)
		}
	})
}

func TestATokenThatIsNotUsedIsGivenBack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h, tokens, none := newRig(t), record(nil), &budget{tokens: 7}, &budget{lie: true}
		for range 5 {
			r.publish("jobs.acme.billing", "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			sharedTenants(nil, 5, 2)(cfg)
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Rate: cfg.Tenants.Rate, SharedRate: true}}
			cfg.SharedRate = func(key string, _ limiter.Rate) (consumer.RateLimiter, error) {
				if strings.HasPrefix(key, "downstream:") {
					return none, nil
				}
				return tokens, nil
			}
		}), routes(h, nil))
		time.Sleep(10 * time.Second)
		tokens.mu.Lock()
		if tokens.tokens != 7 || tokens.asked == 0 {
			t.Errorf("%d of 7 tokens are left of %d askings, and nothing ran", tokens.tokens, tokens.asked)
		}
		tokens.mu.Unlock()
		none.mu.Lock()
		none.lie, none.tokens = false, 100
		none.mu.Unlock()
		time.Sleep(10 * time.Second)
		tokens.mu.Lock()
		defer tokens.mu.Unlock()
		if n := len(h.all()); n != 5 || tokens.tokens != 2 {
			t.Errorf("%d messages ran, %d of 7 tokens are left", n, tokens.tokens)
		}
	})
}

func TestSharedRatesAreLetGoWhenNobodyNeedsThem(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, b, h := newRig(t), new(bank), record(nil)
		r.run(config(t, sharedTenants(b, 10, 5)), h)
		for _, wait := range []time.Duration{0, 30 * time.Second, 10 * time.Minute} {
			time.Sleep(wait)
			r.publish("jobs.acme.x", "")
			time.Sleep(time.Second)
		}
		if got := b.keys(); !slices.Equal(got, []string{"tenant:acme", "tenant:acme"}) {
			t.Errorf("asked for were %q, want it once at first and once after ten minutes", got)
		}
		if n := len(h.all()); n != 3 {
			t.Errorf("%d ran", n)
		}
	})
}

func TestStatesSayWhenASharedRateIsOnItsOwn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, b := newRig(t), new(bank)
		r.publish("jobs.acme.billing", "")
		r.run(config(t, func(cfg *consumer.Config) {
			sharedTenants(b, 10, 5)(cfg)
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Rate: limiter.Rate{Events: 500, Per: time.Second}, SharedRate: true}}
		}), routes(record(nil), record(nil)))
		time.Sleep(time.Second)
		for _, off := range []bool{false, true, false} {
			b.cut(off)
			if s := r.tenant("acme"); !s.RateShared || s.RateDegraded != off {
				t.Errorf("cut off %t: the tenant is %+v", off, s)
			}
			if d := r.downstream("billing"); !d.RateShared || d.RateDegraded != off || d.Rate != "500/s" {
				t.Errorf("cut off %t: the downstream is %+v", off, d)
			}
			if d := r.downstream("mail"); d.RateShared || d.RateDegraded || d.Rate != "" {
				t.Errorf("cut off %t: the other downstream is %+v", off, d)
			}
		}
	})
}

func TestWithoutALimiterASharedRateHoldsForTheProcess(t *testing.T) {
	for name, shared := range map[string]func(string, limiter.Rate) (consumer.RateLimiter, error){
		"error":   func(string, limiter.Rate) (consumer.RateLimiter, error) { return nil, errBoom },
		"nothing": func(string, limiter.Rate) (consumer.RateLimiter, error) { return nil, nil },
		"panic":   func(string, limiter.Rate) (consumer.RateLimiter, error) { panic("boom") },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r, h := newRig(t), record(nil)
				for range 30 {
					r.publish("jobs.acme.x", "")
				}
				r.run(config(t, func(cfg *consumer.Config) {
					sharedTenants(nil, 1, 5)(cfg)
					cfg.SharedRate = shared
				}), h)
				time.Sleep(10*time.Second + time.Millisecond)
				if n := len(h.all()); n != 15 {
					t.Errorf("%d messages ran in 10 s at 1/s in bursts of 5", n)
				}
			})
		})
	}
}

func TestMistakesOfSharedRatesAreNamed(t *testing.T) {
	cfg := config(t, func(cfg *consumer.Config) { cfg.Tenants.SharedRate = true })
	wantError(t, cfg.Validate(), "Tenants.SharedRate is true, must not be without Tenants.Rate", "Tenants.SharedRate is true, must not be without Config.SharedRate")
}

func TestAPolicyWithASharedRateAndNobodyToShareItIsNotTaken(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), record(nil)
		for range 9 {
			r.publish("jobs.acme.x", "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.PolicyFor = func(_ string, p *consumer.TenantPolicy) {
				p.Rate, p.SharedRate = limiter.Rate{Events: 1, Per: time.Hour}, true
			}
		}), h)
		time.Sleep(time.Second)
		if n := len(h.all()); n != 9 {
			t.Errorf("%d of 9 ran: the default stands, which has no rate", n)
		}
	})
}

// A tenant whose handlers run waits for its rate, not for them.
func TestASharedRateLimitsStartsAndNotRuns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, b, g := newRig(t), new(bank), newGate(t)
		for range 40 {
			r.publish("jobs.acme.x", "")
		}
		r.run(config(t, sharedTenants(b, 10, 5)), consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error { return g.wait(ctx, m) }))
		time.Sleep(2*time.Second + time.Millisecond)
		if s := r.tenant("acme"); s.InFlight != 25 {
			t.Errorf("%d run after 2 s at 10/s in bursts of 5", s.InFlight)
		}
		g.release()
	})
}
