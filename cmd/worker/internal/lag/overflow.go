package lag

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// Overflow is what queues had no room for: copies in the overflow stream, those that were
// delivered and are not settled included.
type Overflow struct {
	Messages uint64        `json:"messages"`
	Queues   int           `json:"queues"`  // that have any: of a tenant, for a downstream
	Tenants  []TenantCount `json:"tenants"` // most first
	Other    uint64        `json:"other"`   // messages of tenants that are not told apart
	// Missing says why nothing can be told.
	Missing string `json:"missing,omitempty"`
}

// readOverflow adds up the server's counts by subject.
func readOverflow(ctx context.Context, js jetstream.JetStream, cfg Config) (Overflow, error) {
	s, err := js.Stream(ctx, cfg.Overflow)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return Overflow{Missing: fmt.Sprintf("stream %s does not exist", cfg.Overflow)}, nil
	}
	if err != nil {
		return Overflow{}, err
	}
	info, err := s.Info(ctx, jetstream.WithSubjectFilter(envelope.SpillSubjects(cfg.Overflow, cfg.Durable)))
	if err != nil {
		return Overflow{}, fmt.Errorf("count the subjects of stream %s: %w", cfg.Overflow, err)
	}
	c := newCounter(cfg.Tenants)
	queues := make(map[envelope.Spill]struct{}, len(info.State.Subjects))
	for subject, n := range info.State.Subjects {
		spill, ok := envelope.ParseSpillSubject(cfg.Overflow, cfg.Durable, subject)
		if !ok {
			continue
		}
		tenant, ok := envelope.Name(spill.Tenant)
		if !ok {
			tenant = spill.Tenant // of a name too long to be read from its subject
		}
		c.add(tenant, n)
		spill.Front = false
		queues[spill] = struct{}{}
	}
	t := c.tenants("")
	return Overflow{Messages: t.Counted, Queues: len(queues), Tenants: t.Counts, Other: t.Other + t.Unknown}, nil
}
