package consumer

import (
	"sync"
	"time"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// maxOverrides is of how many tenants something may be set: each process keeps them all.
const maxOverrides = 10_000

// overrides are what is set of tenants in all processes, as this one knows it. The overseer
// alone changes them.
//
// mu guards the fields below it, and is held for a look or a change of one.
type overrides struct {
	mu       sync.Mutex
	byTenant map[string]envelope.Policy
}

// of returns what is set of a tenant at a time.
func (o *overrides) of(tenant string, now time.Time) envelope.Policy {
	o.mu.Lock()
	p := o.byTenant[tenant]
	o.mu.Unlock()
	return p.At(now)
}

// paused reports whether nothing of a tenant may start.
func (o *overrides) paused(tenant string, now time.Time) bool {
	p := o.of(tenant, now).Paused
	return p != nil && p.Value
}

// set replaces what is set of a tenant; it returns false if there are too many.
func (o *overrides) set(p envelope.Policy) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if p.Silent() {
		delete(o.byTenant, p.Tenant)
		return true
	}
	if _, known := o.byTenant[p.Tenant]; !known && len(o.byTenant) >= maxOverrides {
		return false
	}
	if o.byTenant == nil {
		o.byTenant = make(map[string]envelope.Policy)
	}
	o.byTenant[p.Tenant] = p
	return true
}

// full reports whether there is no room for another tenant than those that have something
// set.
func (o *overrides) full(tenant string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, known := o.byTenant[tenant]
	return !known && len(o.byTenant) >= maxOverrides
}

// all returns what counts now, by tenant.
func (o *overrides) all(now time.Time) map[string]envelope.Policy {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := make(map[string]envelope.Policy, len(o.byTenant))
	for tenant, p := range o.byTenant {
		if p = p.At(now); !p.Silent() {
			all[tenant] = p
		}
	}
	return all
}

// expire leaves out what is over, and returns whose that was and how long it is until the next
// is.
func (o *overrides) expire(now time.Time) (over []string, next time.Duration) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next = longestNap
	for tenant, p := range o.byTenant {
		at, ok := p.Next()
		if ok && !now.Before(at) {
			over = append(over, tenant)
			if p = p.At(now); p.Silent() {
				delete(o.byTenant, tenant)
				continue
			}
			o.byTenant[tenant] = p
			at, ok = p.Next()
		}
		if ok {
			next = min(next, at.Sub(now))
		}
	}
	return over, max(next, time.Millisecond)
}

// longestNap is for how long nobody looks whether something is over: the clock may be set.
const longestNap = 10 * time.Second
