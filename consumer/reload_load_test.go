package consumer_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

// sharedRates are what a fleet shares: the last rate asked for holds.
type sharedRates struct {
	mu    sync.Mutex
	rates map[string]limiter.Rate
	asked int
	fail  string
}

func (s *sharedRates) ask(key string, r limiter.Rate) (consumer.RateLimiter, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if key == s.fail {
		return nil, errBoom
	}
	s.asked++
	s.rates[key] = r
	return limiter.NewTokenBucket(r)
}

func TestSharedRatesAreAskedForWhenTheyChangeAndGoBackIfOneIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, s := newRig(t), &sharedRates{rates: make(map[string]limiter.Rate)}
		h := consumer.HandlerFunc(func(context.Context, *consumer.Message) error { return nil })
		with := func(billing, mail float64) consumer.Config {
			return config(t, func(cfg *consumer.Config) {
				cfg.SharedRate = s.ask
				cfg.Downstreams = map[string]consumer.Downstream{
					"billing": {Rate: limiter.Rate{Events: billing, Per: time.Second}, SharedRate: true},
					"mail":    {Rate: limiter.Rate{Events: mail, Per: time.Second}, SharedRate: true},
				}
			})
		}
		r.run(with(1, 2), routes(h, h))
		eventually(t, time.Minute, "it runs", func() bool { return r.c.Ready() == nil })
		want := func(asked int, billing, mail float64) {
			t.Helper()
			if s.asked != asked || s.rates["downstream:billing"].Events != billing || s.rates["downstream:mail"].Events != mail {
				t.Errorf("asked %d times, rates are %v; want %d, %v and %v", s.asked, s.rates, asked, billing, mail)
			}
		}
		want(2, 1, 2)
		r.reload(with(1, 2))
		want(2, 1, 2)
		r.reload(with(1, 3))
		want(3, 1, 3)
		s.fail = "downstream:mail"
		if err := r.c.Reload(with(7, 8)); !errors.Is(err, errBoom) {
			t.Errorf("the error is %v", err)
		}
		want(5, 1, 3) // billing was asked for, and again for what it was
	})
}

func TestReloadUnderLoadLosesAndDoublesNothing(t *testing.T) {
	r := newRig(t)
	var n atomic.Int64
	l := newLedger(func(_ context.Context, m *consumer.Message) error {
		if n.Add(1)%50 == 0 && m.Attempt == 1 {
			time.Sleep(time.Millisecond)
		}
		return nil
	})
	p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 8 }), routesOf(l))
	stop, reloads := make(chan struct{}), 0
	var wg sync.WaitGroup
	for worker := range 3 {
		wg.Go(func() {
			for i := worker; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				if err := p.c.Reload(config(t, variant(i))); err != nil {
					t.Error(err)
					return
				}
				if worker == 0 {
					reloads++
				}
			}
		})
	}
	ids := r.publishMany("m", 5000, 0)
	eventually(t, time.Minute, "all are handled", func() bool { return l.handled() == len(ids) && r.settled() })
	close(stop)
	wg.Wait()
	t.Logf("%d reloads by one of three", reloads)
	l.wantEach(t, ids, 1, 1)
	if err := p.stop(); err != nil {
		t.Error(err)
	}
}

// routesOf are routes of the kinds a and b, and of all others, to downstreams of those names.
func routesOf(h consumer.Handler) *consumer.Mux {
	m := new(consumer.Mux)
	m.Route(consumer.Route{Subject: "jobs.*.x", Downstream: "x", Handler: h})
	m.Route(consumer.Route{Subject: "jobs.>", Handler: h})
	return m
}

// variant is one of many configs that messages get through.
func variant(i int) func(cfg *consumer.Config) {
	return func(cfg *consumer.Config) {
		cfg.Workers = 1 + i%16
		cfg.Tenants.Weight = float64(1 + i%5)
		cfg.Tenants.Queue = 64 << (i % 4)
		cfg.Tenants.MaxInFlight = i % 3
		cfg.Retry.MaxAttempts = 5 + i%5
		switch i % 4 {
		case 0:
			cfg.Downstreams = map[string]consumer.Downstream{"x": {Limit: consumer.Limit{Algorithm: limiter.Fixed, Max: 1 + i%8}}}
		case 1:
			cfg.Downstreams = map[string]consumer.Downstream{"x": {Limit: consumer.Limit{Algorithm: limiter.None}, Breaker: consumer.Breaker{Disabled: true}}}
		case 2:
			cfg.Downstreams = map[string]consumer.Downstream{"x": {Rate: limiter.Rate{Events: 50_000, Per: time.Second, Burst: 500}}, "default": {}}
		}
	}
}
