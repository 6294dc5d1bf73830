package dlq

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/envelope"
)

// Filter says which entries are meant. The zero Filter means all.
type Filter struct {
	Tenant string
	Reason string
	Since  time.Time // when they died
	Limit  int       // how many at most; 0: any number
}

// ErrNotFound is that there is no such dead letter of this durable, or not any more.
var ErrNotFound = errors.New("dead letter not found")

// List yields the entries there are when it begins, the oldest first. It yields an
// error as its last, with an empty Entry.
func (l *Letters) List(ctx context.Context, f Filter) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		listed := 0
		messages := scan.Headers(ctx, l.js, l.cfg.DeadLetter, scan.Filter{Subjects: []string{l.subjects(f.Tenant)}, Since: f.Since})
		for m, err := range messages {
			if err != nil {
				yield(Entry{}, fmt.Errorf("dlq: %w", err))
				return
			}
			e := entryOf(m)
			if !f.matches(e) {
				continue
			}
			if !yield(e, nil) {
				return
			}
			if listed++; listed == f.Limit {
				return
			}
		}
	}
}

// matches looks at the tenant too, though the subject was filtered by it: a token
// stands for a long name by its hash, and anybody may publish to a subject.
func (f Filter) matches(e Entry) bool {
	return (f.Tenant == "" || e.Tenant == envelope.HeaderValue(f.Tenant, consumer.MaxTenantBytes)) &&
		(f.Reason == "" || e.Reason == f.Reason) &&
		!e.Died.Before(f.Since)
}

// subjects are those of the durable's entries, of one tenant or of all.
func (l *Letters) subjects(tenant string) string {
	if tenant == "" {
		return l.prefix() + "*"
	}
	return envelope.DeadLetterSubject(l.cfg.DeadLetter, l.cfg.Durable, tenant)
}

func (l *Letters) prefix() string { return l.cfg.DeadLetter + "." + l.cfg.Durable + "." }

// Pick yields the entries of these sequences, in that order. One that does not exist
// is an error, after which it goes on with the next.
func (l *Letters) Pick(ctx context.Context, sequences ...uint64) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for _, seq := range sequences {
			letter, err := l.read(ctx, seq)
			if !yield(letter.Entry, err) {
				return
			}
		}
	}
}

// Show returns all of the entry of a sequence, its payload fetched from the origin if
// it is there. That it is not there any more is told in Letter.Gone.
func (l *Letters) Show(ctx context.Context, seq uint64) (Letter, error) {
	letter, err := l.read(ctx, seq)
	if err != nil || !letter.AtOrigin {
		return letter, err
	}
	switch err := l.fetch(ctx, &letter); {
	case errors.Is(err, errPayloadGone):
		letter.Gone = err.Error()
		return letter, nil
	default:
		return letter, err
	}
}

// read returns the entry of a sequence as it is in the stream.
func (l *Letters) read(ctx context.Context, seq uint64) (Letter, error) {
	m, err := scan.Get(ctx, l.js, l.cfg.DeadLetter, seq)
	switch {
	case errors.Is(err, scan.ErrNotFound):
		return Letter{}, fmt.Errorf("dlq: %w: sequence %d of stream %s", ErrNotFound, seq, l.cfg.DeadLetter)
	case err != nil:
		return Letter{}, fmt.Errorf("dlq: %w", err)
	case !strings.HasPrefix(m.Subject, l.prefix()):
		return Letter{}, fmt.Errorf("dlq: %w: sequence %d of stream %s is of another durable than %s, its subject is %q", ErrNotFound, seq, l.cfg.DeadLetter, l.cfg.Durable, m.Subject)
	}
	return letterOf(m), nil
}

// errPayloadGone is that a payload is not where its entry says.
var errPayloadGone = errors.New("the payload is gone")

// fetch reads the payload of a letter from its origin, which is the stream of the
// durable: a letter that names another is forged, perhaps to get at what is there. A
// stream that was deleted and made again has other messages under the same sequences,
// which the time tells apart.
func (l *Letters) fetch(ctx context.Context, letter *Letter) error {
	o := letter.origin
	if o.Stream != l.cfg.Stream {
		return fmt.Errorf("%w: it is said to be in stream %q, must be in %s", errPayloadGone, o.Stream, l.cfg.Stream)
	}
	m, err := scan.Get(ctx, l.js, o.Stream, o.Sequence)
	switch {
	case errors.Is(err, scan.ErrNotFound):
		return fmt.Errorf("%w: stream %s does not have message %d any more", errPayloadGone, o.Stream, o.Sequence)
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return fmt.Errorf("%w: stream %s does not exist any more", errPayloadGone, o.Stream)
	case err != nil:
		return fmt.Errorf("dlq: fetch the payload: %w", err)
	case m.Subject != o.Subject || !m.Time.Equal(o.Time):
		return fmt.Errorf("%w: message %d of stream %s is another one, of %s", errPayloadGone, o.Sequence, o.Stream, m.Time.Format(time.RFC3339))
	}
	letter.Data = m.Data
	if letter.headersAtOrigin {
		letter.Header = envelope.Clean(m.Header)
	}
	return nil
}
