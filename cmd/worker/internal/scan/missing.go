package scan

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// MissingError is that a stream, or a durable on it, does not exist. It knows which do,
// for somebody who misspelled the name.
type MissingError struct {
	Stream  string
	Durable string   // "" if it is the stream that is missing
	Known   []string // some of those that exist
	Err     error    // what JetStream said
}

func (e *MissingError) Error() string {
	text, kind := fmt.Sprintf("stream %s does not exist", e.Stream), "streams"
	if e.Durable != "" {
		text, kind = fmt.Sprintf("durable %s does not exist on stream %s", e.Durable, e.Stream), "durables"
	}
	if len(e.Known) == 0 {
		return text
	}
	return fmt.Sprintf("%s; there are the %s %s", text, kind, strings.Join(e.Known, ", "))
}

// Unwrap returns what JetStream said.
func (e *MissingError) Unwrap() error { return e.Err }

const (
	maxKnown    = 8               // names in an error
	knownWithin = 2 * time.Second // to find them: they only help
)

// Stream returns a stream, or a *MissingError if there is none of that name.
func Stream(ctx context.Context, js jetstream.JetStream, name string) (jetstream.Stream, error) {
	s, err := js.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, &MissingError{Stream: name, Known: streamNames(ctx, js), Err: err}
	case err != nil:
		return nil, fmt.Errorf("look up stream %s: %w", name, err)
	}
	return s, nil
}

// Durable returns a durable of s, or a *MissingError if there is none of that name.
func Durable(ctx context.Context, s jetstream.Stream, name string) (jetstream.Consumer, error) {
	c, err := s.Consumer(ctx, name)
	stream := s.CachedInfo().Config.Name
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, &MissingError{Stream: stream, Durable: name, Known: durableNames(ctx, s), Err: err}
	case err != nil:
		return nil, fmt.Errorf("look up durable %s of stream %s: %w", name, stream, err)
	}
	return c, nil
}

// streamNames returns some of the streams. That they cannot be listed is no error: there
// is one already.
func streamNames(ctx context.Context, js jetstream.JetStream) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, knownWithin)
	defer cancel()
	for name := range js.StreamNames(ctx).Name() { // to its end, which cancel brings near
		if names = append(names, name); len(names) >= maxKnown {
			cancel()
		}
	}
	return names[:min(len(names), maxKnown)]
}

// durableNames returns some of the durables of s, as streamNames does of streams.
func durableNames(ctx context.Context, s jetstream.Stream) (names []string) {
	ctx, cancel := context.WithTimeout(ctx, knownWithin)
	defer cancel()
	for info := range s.ListConsumers(ctx).Info() {
		if info.Config.Durable == "" {
			continue
		}
		if names = append(names, info.Config.Durable); len(names) >= maxKnown {
			cancel()
		}
	}
	return names[:min(len(names), maxKnown)]
}
