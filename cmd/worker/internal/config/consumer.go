package config

import (
	"log/slog"
	"math"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

// Consumer returns c as package consumer takes it, without a logger and without SharedRate.
func (c *Config) Consumer() consumer.Config {
	cfg := consumer.Config{
		Stream: c.Stream, Durable: c.Durable,
		Subjects: c.Subjects, FilterSubjects: c.FilterSubjects,
		Unmanaged:    !c.Manage,
		Tenant:       c.Tenant.find(),
		Workers:      c.Workers,
		AckWait:      c.AckWait,
		Buffer:       consumer.Buffer{Messages: c.Buffer.Messages, Bytes: int64(c.Buffer.Bytes)},
		Tenants:      c.Tenants.Default.consumer(),
		PolicyFor:    c.policyFor(),
		Downstreams:  c.downstreams(),
		Retry:        c.Retry.consumer(),
		DeadLetter:   c.DeadLetter.consumer(),
		Overflow:     c.Overflow.consumer(),
		DrainTimeout: c.DrainTimeout,
	}
	if c.Deliver == deliverNew {
		cfg.Deliver = jetstream.DeliverNewPolicy
	}
	return cfg
}

// find returns the TenantFunc that t describes, nil for the default.
func (t Tenant) find() consumer.TenantFunc {
	switch {
	case t.SubjectToken > 0:
		return consumer.SubjectToken(t.SubjectToken).Or(t.Fallback)
	case t.Header != "":
		return consumer.Header(t.Header).Or(t.Fallback)
	}
	return nil
}

// policyFor returns what looks up the overrides, worked out beforehand because it is
// asked for every new queue.
func (c *Config) policyFor() func(string, *consumer.TenantPolicy) {
	if len(c.Tenants.Overrides) == 0 {
		return nil
	}
	policies := make(map[string]consumer.TenantPolicy, len(c.Tenants.Overrides))
	for name, patch := range c.Tenants.Overrides {
		policies[name] = c.policy(patch).consumer()
	}
	return func(tenant string, p *consumer.TenantPolicy) {
		if own, ok := policies[tenant]; ok {
			*p = own
		}
	}
}

func (p Policy) consumer() consumer.TenantPolicy {
	return consumer.TenantPolicy{
		Queue: p.Queue, High: p.High, Low: orLeast(p.Low), Weight: p.Weight,
		MaxInFlight: p.MaxInFlight, Rate: p.Rate.limiter(), SharedRate: p.Rate.Shared, OnOverflow: consumer.OverflowPolicy(p.OnOverflow),
	}
}

func (r Retry) consumer() consumer.Retry {
	jitter := r.Jitter
	if jitter == 0 {
		jitter = -1 // 0 is the default there
	}
	return consumer.Retry{
		MaxAttempts: r.MaxAttempts, Initial: r.Initial, Max: r.Max,
		Multiplier: r.Multiplier, Jitter: jitter,
	}
}

func (s StreamRef) consumer() consumer.StreamRef {
	return consumer.StreamRef{Stream: s.Stream, MaxBytes: int64(s.MaxBytes)}
}

// orLeast returns v, or in place of 0, which would be the default, what is as good
// as 0.
func orLeast(v float64) float64 {
	if v == 0 {
		return math.SmallestNonzeroFloat64
	}
	return v
}

// SlogLevel returns the level that is logged from.
func (l Log) SlogLevel() slog.Level {
	var level slog.Level
	// The words of the key are those of slog.
	_ = level.UnmarshalText([]byte(l.Level))
	return level
}
