package main

import (
	"sync"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// What one tenant may send, and of how many tenants that is remembered.
const (
	perSecond  = 100
	burst      = 200
	maxTenants = 10_000
)

// rates has a token bucket for each tenant. The names come from outside, so it is bounded:
// a full one forgets all of them, which gives each a new burst and no more.
type rates struct {
	mu      sync.Mutex // guards buckets
	buckets map[string]*limiter.TokenBucket
}

func newRates() *rates { return &rates{buckets: make(map[string]*limiter.TokenBucket)} }

func (r *rates) allow(tenant string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := r.buckets[tenant]
	if b == nil {
		made, err := limiter.NewTokenBucket(limiter.Rate{Events: perSecond, Per: time.Second, Burst: burst})
		if err != nil { // not with these constants
			return false
		}
		if len(r.buckets) >= maxTenants {
			clear(r.buckets)
		}
		b = made
		r.buckets[tenant] = b
	}
	return b.Allow()
}
