package lag

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/consumer"
)

// Tenants is the backlog of the main lane by tenant.
type Tenants struct {
	Counts  []TenantCount `json:"counts"`  // most first
	Other   uint64        `json:"other"`   // messages of tenants that are not told apart
	Unknown uint64        `json:"unknown"` // messages whose tenant cannot be told
	Counted uint64        `json:"counted"` // all of them together
	// Unacknowledged is that messages are included that were delivered already.
	Unacknowledged bool `json:"unacknowledged"`
	// Cut says why not everything was counted.
	Cut string `json:"cut,omitempty"`
	// Missing says why nothing can be told.
	Missing string `json:"missing,omitempty"`
}

// TenantCount is how many messages a tenant has.
type TenantCount struct {
	Tenant   string `json:"tenant"`
	Messages uint64 `json:"messages"`
}

// countTenants counts in the way that the retention of the stream allows; see the
// package comment.
func countTenants(ctx context.Context, js jetstream.JetStream, cfg Config, s jetstream.Stream, info *jetstream.ConsumerInfo) (Tenants, error) {
	stream := s.CachedInfo()
	missing := func(format string, args ...any) (Tenants, error) {
		return Tenants{Missing: fmt.Sprintf(format, args...)}, nil
	}
	switch retention := stream.Config.Retention; {
	case cfg.Tenant == nil:
		return missing("it is not said how a message tells its tenant")
	case retention == jetstream.LimitsPolicy:
		return countMessages(ctx, js, cfg, info)
	case retention != jetstream.WorkQueuePolicy:
		return missing("stream %s has %s retention: a second consumer would make it keep messages", cfg.Stream, retention)
	case !cfg.BySubject:
		return missing("stream %s has %s retention, which allows no second consumer, and the subject does not tell the tenant", cfg.Stream, retention)
	case stream.State.NumSubjects > uint64(cfg.Messages):
		return missing("stream %s has %d subjects, more than %d", cfg.Stream, stream.State.NumSubjects, cfg.Messages)
	default:
		return countSubjects(ctx, cfg, s, info)
	}
}

// countMessages reads the headers of what the durable was not given yet.
func countMessages(ctx context.Context, js jetstream.JetStream, cfg Config, info *jetstream.ConsumerInfo) (Tenants, error) {
	c := newCounter(cfg.Tenants)
	if info.NumPending == 0 {
		return c.tenants(""), nil
	}
	within, cancel := context.WithTimeout(ctx, cfg.Within)
	defer cancel()
	filter := scan.Filter{Subjects: scan.FiltersOf(info.Config), From: info.Delivered.Stream + 1}
	for m, err := range scan.Headers(within, js, cfg.Stream, filter) {
		switch {
		case ctx.Err() != nil:
			return Tenants{}, ctx.Err()
		case within.Err() != nil:
			return c.tenants(fmt.Sprintf("stopped after %v", cfg.Within)), nil
		case err != nil:
			return Tenants{}, err
		case c.counted == uint64(cfg.Messages):
			return c.tenants(fmt.Sprintf("stopped after %d messages", cfg.Messages)), nil
		}
		c.add(cfg.Tenant(m.Subject, m.Header), 1)
	}
	if err := ctx.Err(); err != nil { // it ended with the last message: was that all?
		return Tenants{}, err
	}
	return c.tenants(""), nil
}

// countSubjects adds up the server's counts by subject.
func countSubjects(ctx context.Context, cfg Config, s jetstream.Stream, info *jetstream.ConsumerInfo) (Tenants, error) {
	ctx, cancel := context.WithTimeout(ctx, max(cfg.Within, time.Second))
	defer cancel()
	c := newCounter(cfg.Tenants)
	for _, filter := range scan.FiltersOf(info.Config) {
		stream, err := s.Info(ctx, jetstream.WithSubjectFilter(filter))
		if err != nil {
			return Tenants{}, fmt.Errorf("count the subjects of stream %s: %w", cfg.Stream, err)
		}
		for subject, n := range stream.State.Subjects {
			c.add(cfg.Tenant(subject, nil), n)
		}
	}
	t := c.tenants("")
	t.Unacknowledged = true
	return t, nil
}

// counter counts messages by tenant, of a bounded number of tenants.
type counter struct {
	max     int
	counts  map[string]uint64
	other   uint64
	unknown uint64
	counted uint64
}

func newCounter(limit int) *counter {
	return &counter{max: limit, counts: make(map[string]uint64)}
}

func (c *counter) add(tenant string, n uint64) {
	c.counted += n
	_, known := c.counts[tenant]
	switch {
	case !consumer.ValidTenant(tenant): // it is dead-lettered
		c.unknown += n
	case known || len(c.counts) < c.max:
		if !known {
			tenant = strings.Clone(tenant) // often a piece of a subject
		}
		c.counts[tenant] += n
	default:
		c.other += n
	}
}

func (c *counter) tenants(cut string) Tenants {
	t := Tenants{Other: c.other, Unknown: c.unknown, Counted: c.counted, Cut: cut}
	for tenant, n := range c.counts {
		t.Counts = append(t.Counts, TenantCount{tenant, n})
	}
	slices.SortFunc(t.Counts, func(a, b TenantCount) int {
		return cmp.Or(cmp.Compare(b.Messages, a.Messages), cmp.Compare(a.Tenant, b.Tenant))
	})
	return t
}
