package dlq

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/internal/envelope"
)

// target is where copies go.
type target struct {
	subject string
	stream  string
	lane    bool // the retry lane of the durable
}

func (t target) tooLarge(size int, limit int64) error {
	if t.lane {
		return fmt.Errorf("payload and headers are %d bytes beside ours, must be at most %d; publish it to a subject instead", size, limit)
	}
	return fmt.Errorf("payload and headers are %d bytes, must be at most %d", size, limit)
}

// target finds out where copies go, and that they would be kept there: a PubAck does
// not say so by itself.
func (l *Letters) target(ctx context.Context, r Replay) (target, error) {
	if r.ToSubject == "" {
		return l.lane(ctx)
	}
	if !scan.IsLiteral(r.ToSubject) {
		return target{}, fmt.Errorf("dlq: the subject to publish to is %q, must be one subject without wildcards, spaces or empty tokens", r.ToSubject)
	}
	name, err := l.js.StreamNameBySubject(ctx, r.ToSubject)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return target{}, fmt.Errorf("dlq: no stream takes the subject %q", r.ToSubject)
	case err != nil:
		return target{}, fmt.Errorf("dlq: look up the stream of subject %q: %w", r.ToSubject, err)
	case name == l.cfg.DeadLetter || name == l.cfg.Overflow:
		return target{}, fmt.Errorf("dlq: the subject %q is of stream %s, which is Spillway's own", r.ToSubject, name)
	}
	s, err := l.stream(ctx, name)
	if err != nil {
		return target{}, err
	}
	if s.CachedInfo().Config.Retention == jetstream.InterestPolicy {
		if err := wanted(ctx, s, r.ToSubject); err != nil {
			return target{}, err
		}
	}
	return target{subject: r.ToSubject, stream: name}, nil
}

// lane is the retry lane of the durable.
func (l *Letters) lane(ctx context.Context) (target, error) {
	s, err := l.stream(ctx, l.cfg.Overflow)
	if err != nil {
		return target{}, err
	}
	cfg := s.CachedInfo().Config
	if cfg.Retention == jetstream.InterestPolicy {
		return target{}, fmt.Errorf("dlq: stream %s has %s retention, must have workqueue: it does not keep copies without a consumer", cfg.Name, cfg.Retention)
	}
	if cfg.Discard != jetstream.DiscardNew {
		return target{}, fmt.Errorf("dlq: stream %s discards old messages when it is full, must discard new ones", cfg.Name)
	}
	return target{subject: envelope.RetrySubject(l.cfg.Overflow, l.cfg.Durable), stream: cfg.Name, lane: true}, nil
}

func (l *Letters) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	s, err := scan.Stream(ctx, l.js, name)
	if err != nil {
		return nil, fmt.Errorf("dlq: %w", err)
	}
	return s, nil
}

// wanted reports an error unless a consumer of s takes the subject: a stream with
// Interest retention confirms other messages and drops them.
func wanted(ctx context.Context, s jetstream.Stream, subject string) error {
	consumers, taken := s.ListConsumers(ctx), false
	for info := range consumers.Info() { // to its end: its goroutine waits to be heard
		taken = taken || takes(info.Config, subject)
	}
	if taken {
		return nil
	}
	name := s.CachedInfo().Config.Name
	if err := consumers.Err(); err != nil {
		return fmt.Errorf("dlq: list the consumers of stream %s: %w", name, err)
	}
	return fmt.Errorf("dlq: stream %s has interest retention and no consumer for %q: it would drop the messages", name, subject)
}

// takes reports whether a consumer takes a subject.
func takes(cfg jetstream.ConsumerConfig, subject string) bool {
	return slices.ContainsFunc(scan.FiltersOf(cfg), func(f string) bool { return scan.Matches(f, subject) })
}

// isServerHeader reports whether a header is one that the server acts on.
func isServerHeader(key string) bool {
	const prefix = "Nats-"
	return len(key) >= len(prefix) && strings.EqualFold(key[:len(prefix)], prefix)
}
