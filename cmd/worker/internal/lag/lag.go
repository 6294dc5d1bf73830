package lag

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/envelope"
)

// Config says whose lag is meant, and how much may be read to find it. The zero value
// of a field is its default.
type Config struct {
	// Stream is the stream that the durable consumes. Required.
	Stream string
	// Durable is the durable. Required.
	Durable string
	// Overflow is the stream of the copies. Default <Stream>_OVERFLOW.
	Overflow string

	// Tenant finds whose work a message is. Default: tenants are not told.
	Tenant consumer.TenantFunc
	// BySubject says that Tenant looks at nothing but the subject.
	BySubject bool
	// Messages is how many messages, or subjects, are counted at most. Default
	// 100,000.
	Messages int
	// Within is how long they are counted at most. Default 5s.
	Within time.Duration
	// Tenants is how many tenants are told apart. Default 1000.
	Tenants int
}

// Defaults, as documented on the fields.
const (
	defaultMessages = 100_000
	defaultWithin   = 5 * time.Second
	defaultTenants  = 1000
)

func (cfg Config) withDefaults() Config {
	cfg.Overflow = cmp.Or(cfg.Overflow, envelope.OverflowStream(cfg.Stream))
	cfg.Messages = cmp.Or(cfg.Messages, defaultMessages)
	cfg.Within = cmp.Or(cfg.Within, defaultWithin)
	cfg.Tenants = cmp.Or(cfg.Tenants, defaultTenants)
	return cfg
}

func (cfg Config) validate() error {
	var errs []error
	must := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("lag: "+format, args...))
		}
	}
	must(cfg.Stream != "", "Stream is required")
	must(cfg.Durable != "", "Durable is required")
	must(cfg.Messages > 0, "Messages is %d, must be positive", cfg.Messages)
	must(cfg.Within > 0, "Within is %v, must be positive", cfg.Within)
	must(cfg.Tenants > 0, "Tenants is %d, must be positive", cfg.Tenants)
	return errors.Join(errs...)
}

// Report is the lag of a durable at one moment.
type Report struct {
	At       time.Time `json:"at"`
	Stream   string    `json:"stream"`
	Durable  string    `json:"durable"`
	Backlog  uint64    `json:"backlog"` // of all lanes: pending, unacknowledged and in overflows
	Lanes    []Lane    `json:"lanes"`
	Overflow Overflow  `json:"overflow"`
	Tenants  Tenants   `json:"tenants"`
}

// Read finds out the lag. What of it cannot be told is said in the Report. An error is
// that NATS is not there, or a *scan.MissingError that the stream or the durable is not.
func Read(ctx context.Context, js jetstream.JetStream, cfg Config) (Report, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return Report{}, err
	}
	r := Report{At: time.Now(), Stream: cfg.Stream, Durable: cfg.Durable}
	s, err := scan.Stream(ctx, js, cfg.Stream)
	if err != nil {
		return r, fmt.Errorf("lag: %w", err)
	}
	main, err := scan.Durable(ctx, s, cfg.Durable)
	if err != nil {
		return r, fmt.Errorf("lag: %w", err)
	}
	for _, l := range lanesOf(cfg) {
		if err := l.read(ctx, js, main, r.At); err != nil {
			return r, fmt.Errorf("lag: lane %s: %w", l.Lane, err)
		}
		r.Backlog += l.Pending + l.AckPending
		r.Lanes = append(r.Lanes, l)
	}
	if r.Overflow, err = readOverflow(ctx, js, cfg); err != nil {
		return r, fmt.Errorf("lag: overflow: %w", err)
	}
	r.Backlog += r.Overflow.Messages
	r.Tenants, err = countTenants(ctx, js, cfg, s, main.CachedInfo())
	if err != nil {
		return r, fmt.Errorf("lag: %w", err)
	}
	return r, nil
}
