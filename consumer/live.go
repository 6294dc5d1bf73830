package consumer

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/tenants"
)

// fixed is the part of a Config that stays as New was given it. It has no field that
// Reload may change, so that nobody reads one that is out of date.
type fixed struct {
	whole       Config // as New was given it, with its defaults: what Reload compares with
	tenantGiven bool   // New was given a Tenant

	Stream, Durable      string
	Subjects             []string
	FilterSubjects       []string
	Deliver              jetstream.DeliverPolicy
	Unmanaged            bool
	Tenant               TenantFunc
	AckWait              time.Duration
	Buffer               Buffer
	DeadLetter, Overflow StreamRef
	DrainTimeout         time.Duration
}

func (cfg Config) fixed() fixed {
	return fixed{
		whole:  cfg,
		Stream: cfg.Stream, Durable: cfg.Durable,
		Subjects: cfg.Subjects, FilterSubjects: cfg.FilterSubjects,
		Deliver: cfg.Deliver, Unmanaged: cfg.Unmanaged, Tenant: cfg.Tenant, AckWait: cfg.AckWait, Buffer: cfg.Buffer,
		DeadLetter: cfg.DeadLetter, Overflow: cfg.Overflow, DrainTimeout: cfg.DrainTimeout,
	}
}

// live is the part of a Config that Reload replaces. It is never changed, only replaced as
// a whole: who needs two things of it that belong together loads it once.
type live struct {
	Tenants     TenantPolicy
	PolicyFor   func(tenant string, p *TenantPolicy)
	Downstreams map[string]Downstream // what routes name, with their defaults
	SharedRate  func(key string, r limiter.Rate) (RateLimiter, error)
	Retry       Retry
	Workers     int
}

// live requires that cfg is valid and has its defaults.
func (cfg Config) live(m *Mux) *live {
	l := &live{
		Tenants: cfg.Tenants, PolicyFor: cfg.PolicyFor, SharedRate: cfg.SharedRate,
		Retry: cfg.Retry, Workers: cfg.Workers,
		Downstreams: make(map[string]Downstream),
	}
	for _, name := range m.downstreams() {
		l.Downstreams[name] = cfg.downstream(name)
	}
	return l
}

// policyOf is the policy of one tenant as the config says, and what is wrong with what the
// user's PolicyFor made of it: then Tenants stands.
func (l *live) policyOf(tenant string) (TenantPolicy, error) {
	if l.PolicyFor == nil {
		return l.Tenants, nil
	}
	own, err := l.askPolicy(tenant)
	own = own.withDefaults()
	if err == nil {
		err = own.Validate("PolicyFor(" + envelope.HeaderValue(tenant, maxTenantBytes) + ")")
	}
	if err == nil && own.SharedRate && l.SharedRate == nil {
		err = errors.New("consumer: SharedRate is true, must not be without Config.SharedRate")
	}
	if err == nil && own.OnOverflow == OverflowHold && l.Tenants.OnOverflow != OverflowHold {
		err = errors.New("consumer: OnOverflow hold can only be chosen for all tenants")
	}
	if err != nil {
		return l.Tenants, err
	}
	return own, nil
}

// askPolicy calls the user's PolicyFor behind a fence.
func (l *live) askPolicy(tenant string) (p TenantPolicy, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("consumer: PolicyFor panicked: %v", v)
		}
	}()
	p = l.Tenants
	l.PolicyFor(tenant, &p)
	return p, nil
}

// sharedRate is Config.SharedRate as of now.
func (c *Consumer) sharedRate(key string, r limiter.Rate) (RateLimiter, error) {
	return c.live.Load().SharedRate(key, r)
}

// effective is how one tenant is treated: as the config says, and over that what was set
// by SetTenant.
type effective struct {
	TenantPolicy
	paused bool
}

// policyAt returns how a tenant is to be treated at a time. What the user's PolicyFor gets
// wrong is logged, and the default stands.
func (c *Consumer) policyAt(tenant string, now time.Time) effective {
	p, err := c.live.Load().policyOf(tenant)
	if err != nil {
		c.logs.admit.warn("the policy of a tenant is not valid; it gets the default", "tenant", tenant, "error", err)
	}
	return overlay(p, c.overrides.of(tenant, now))
}

// overlay is p with what o says.
func overlay(p TenantPolicy, o envelope.Policy) effective {
	e := effective{TenantPolicy: p, paused: o.Paused != nil && o.Paused.Value}
	if o.Weight != nil {
		e.Weight = o.Weight.Value
	}
	if o.MaxInFlight != nil {
		e.MaxInFlight = o.MaxInFlight.Value
	}
	if o.Rate != nil {
		e.Rate = limiter.Rate(o.Rate.Value)
		e.SharedRate = e.SharedRate && e.Rate != limiter.Rate{} // none is not shared either
	}
	if e.paused && e.OnOverflow == OverflowHold {
		e.OnOverflow = OverflowSpill // nobody shall wait for a tenant that is to wait itself
	}
	return e
}

// policyFor is what the queues ask.
func (c *Consumer) policyFor(tenant string, p *tenants.Policy) {
	if tenant == suspectTenant {
		*p = tenants.Policy{Queue: c.cfg.Buffer.Messages, Bytes: p.Bytes, High: 1, Low: 1, Weight: maxWeight, Hold: true}
		return
	}
	*p = c.policyAt(tenant, time.Now()).queuePolicy(p.Bytes)
}

// queuePolicy is e as the queues understand it.
func (e effective) queuePolicy(bytes int64) tenants.Policy {
	q := e.TenantPolicy.queuePolicy(bytes)
	q.Paused = e.paused
	if e.paused {
		q.Hold, q.HoldWithin = false, 0 // its queue will not be emptier soon
	}
	return q
}

// overflowPolicy is that of one tenant.
func (c *Consumer) overflowPolicy(tenant string) OverflowPolicy {
	return c.policyAt(tenant, time.Now()).OnOverflow
}
