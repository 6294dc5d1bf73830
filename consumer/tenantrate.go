package consumer

import (
	"fmt"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// What the keys of Config.SharedRate begin with, so that no tenant's is a downstream's.
const (
	keyDownstream = "downstream:"
	keyTenant     = "tenant:"
)

// A tenantRate is whom to ask for tokens of a tenant's shared rate.
type tenantRate struct {
	RateLimiter
	rate limiter.Rate
}

// tenantRates are the shared rates of the tenants that lately had something to start. They
// are in two generations: what is used is young, what was not since the last turn is old,
// and what is not used until the next one is let go.
type tenantRates struct {
	shared func(key string, r limiter.Rate) (RateLimiter, error)
	logs   *logs
	most   int // young ones: a turn comes early if there would be more

	mu         sync.Mutex // guards both maps, and is held for a look into them
	young, old map[string]*tenantRate
}

// tenantRatesTurn is how long it takes at least until a rate that nobody asks is let go, and
// at most twice as long.
const tenantRatesTurn = time.Minute

// maxIdleRates is how many rates are kept at most beside those of tenants that have messages
// here.
const maxIdleRates = 1 << 14

func newTenantRates(cfg Config, l *logs) *tenantRates {
	return &tenantRates{shared: cfg.SharedRate, logs: l, most: cfg.Buffer.Messages + maxIdleRates, young: make(map[string]*tenantRate)}
}

// of returns whom to ask about a tenant whose rate is r.
func (t *tenantRates) of(tenant string, r limiter.Rate) *tenantRate {
	if there := t.find(tenant); there != nil && there.rate == r {
		return there
	}
	made := &tenantRate{t.make(tenant, r), r}
	t.mu.Lock()
	defer t.mu.Unlock()
	if there := t.young[tenant]; there != nil && there.rate == r {
		return there // somebody was faster
	}
	t.keep(tenant, made)
	return made
}

// make returns a limiter for all that share the rate, or else one of this process.
func (t *tenantRates) make(tenant string, r limiter.Rate) RateLimiter {
	l, err := t.ask(tenant, r)
	if err == nil {
		return l
	}
	t.logs.rates.warn("the shared rate of a tenant is not to be had: it holds for this process alone", "tenant", tenant, "error", err)
	own, err := limiter.NewTokenBucket(r)
	if err != nil { // the queues have checked the rate by the same rules
		return never{}
	}
	return own
}

// never is a RateLimiter that admits nothing.
type never struct{}

func (never) AllowN(time.Time, int) bool                  { return false }
func (never) Next(now time.Time, _ int) (time.Time, bool) { return now.Add(time.Second), true }
func (never) Refund(int)                                  {}

// ask calls the user's SharedRate behind a fence.
func (t *tenantRates) ask(tenant string, r limiter.Rate) (l RateLimiter, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("consumer: SharedRate panicked: %v", v)
		}
	}()
	if l, err = t.shared(keyTenant+tenant, r); err == nil && l == nil {
		err = fmt.Errorf("consumer: nothing came from Config.SharedRate for %v", r)
	}
	return l, err
}

// find returns what is known of a tenant, and keeps it young.
func (t *tenantRates) find(tenant string) *tenantRate {
	t.mu.Lock()
	defer t.mu.Unlock()
	if there := t.young[tenant]; there != nil {
		return there
	}
	there := t.old[tenant]
	if there != nil {
		delete(t.old, tenant)
		t.keep(tenant, there)
	}
	return there
}

// keep requires mu.
func (t *tenantRates) keep(tenant string, r *tenantRate) {
	if len(t.young) >= t.most {
		t.old, t.young = t.young, make(map[string]*tenantRate)
	}
	t.young[tenant] = r
}

// turn lets go what was not used since the turn before the last.
func (t *tenantRates) turn() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.old, t.young = t.young, make(map[string]*tenantRate, len(t.young)/2)
}

// degraded reports whether the rate of a tenant is decided without those who share it.
func (t *tenantRates) degraded(tenant string) bool {
	t.mu.Lock()
	there := t.young[tenant]
	if there == nil {
		there = t.old[tenant]
	}
	t.mu.Unlock()
	return there != nil && degraded(there.RateLimiter)
}

// degraded reports whether l says so of itself; nil does not.
func degraded(l RateLimiter) bool {
	d, ok := l.(DegradedRate)
	return ok && d.Degraded()
}

// take takes the token that j needs, if its tenant has a shared rate, and returns who gave
// it. If there is none, ok is false, and until is when there may be one.
func (t *tenantRates) take(j job) (from RateLimiter, until time.Time, ok bool) {
	r, shared := j.SharedRate()
	if !shared {
		return nil, time.Time{}, true
	}
	rate := t.of(j.Tenant, limiter.Rate(r))
	now := time.Now() // the tenant's turn came by the clock; the worker may have read it before
	if rate.AllowN(now, 1) {
		return rate, time.Time{}, true
	}
	until, known := rate.Next(now, 1)
	if least := now.Add(rateDoubt); !known || until.Before(least) {
		until = least
	}
	return nil, until, false
}
