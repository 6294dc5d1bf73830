package consumer

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

func newTestRates(shared func(string, limiter.Rate) (RateLimiter, error)) *tenantRates {
	cfg := Config{Stream: "JOBS", SharedRate: shared}.withDefaults()
	return newTenantRates(cfg, newLogs(slog.New(slog.DiscardHandler)))
}

func ownBucket(_ string, r limiter.Rate) (RateLimiter, error) { return limiter.NewTokenBucket(r) }

func (t *tenantRates) known() int { return len(t.young) + len(t.old) }

func TestRatesOfTenantsAreBoundedAndForgotten(t *testing.T) {
	rates := newTestRates(ownBucket)
	r := limiter.Rate{Events: 1, Per: time.Second, Burst: 1}
	for i := range 3 * rates.most {
		rates.of(fmt.Sprint("t", i), r)
		if n := rates.known(); n > 2*rates.most {
			t.Fatalf("%d are known after %d, more than twice %d", n, i+1, rates.most)
		}
	}
	rates.turn()
	kept := rates.of(fmt.Sprint("t", 3*rates.most-1), r)
	rates.turn()
	if n := rates.known(); n != 1 {
		t.Errorf("%d are known after two turns, want the one that was used between them", n)
	}
	if rates.of(fmt.Sprint("t", 3*rates.most-1), r) != kept {
		t.Error("what is used is another one")
	}
	rates.turn()
	rates.turn()
	if n := rates.known(); n != 0 {
		t.Errorf("%d are known of which none is used", n)
	}
}

func TestANewRateOfATenantIsAskedForAnew(t *testing.T) {
	var asked []limiter.Rate
	rates := newTestRates(func(key string, r limiter.Rate) (RateLimiter, error) {
		asked = append(asked, r)
		return ownBucket(key, r)
	})
	slow, fast := limiter.Rate{Events: 1, Per: time.Second, Burst: 1}, limiter.Rate{Events: 9, Per: time.Second, Burst: 1}
	for _, r := range []limiter.Rate{slow, slow, fast, fast} {
		if got := rates.of("acme", r); got.rate != r {
			t.Errorf("got the limiter of %v for %v", got.rate, r)
		}
	}
	if len(asked) != 2 || asked[0] != slow || asked[1] != fast {
		t.Errorf("asked for were %v", asked)
	}
}

func TestAllWorkersAskTheSameLimiter(t *testing.T) {
	rates := newTestRates(ownBucket)
	r := limiter.Rate{Events: 1, Per: time.Hour, Burst: 100}
	var wg sync.WaitGroup
	var mu sync.Mutex
	seen := make(map[*tenantRate]bool)
	for range 16 {
		wg.Go(func() {
			got := rates.of("acme", r)
			mu.Lock()
			defer mu.Unlock()
			seen[got] = true
		})
	}
	wg.Wait()
	if len(seen) != 1 {
		t.Errorf("%d limiters for one tenant", len(seen))
	}
}

func BenchmarkTheTokenOfATenant(b *testing.B) {
	rates := newTestRates(ownBucket)
	r := limiter.Rate{Events: 1e9, Per: time.Second, Burst: 1e9}
	for i := range 10_000 {
		rates.of(fmt.Sprint("t", i), r)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			rates.of("t77", r).AllowN(time.Now(), 1)
		}
	})
}
