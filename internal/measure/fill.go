package measure

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// fillWindow is how many messages of a fill are sent between two that are confirmed;
	// the server drops what it is sent when 10,000 wait.
	fillWindow = 2048
	// confirmTime is how long a confirmation may take.
	confirmTime = 30 * time.Second
)

// Fill publishes n messages to a stream that nobody else publishes to, and returns when all
// are stored, or one is not.
func Fill(ctx context.Context, js jetstream.JetStream, stream string, n int, message func(i int) (subject string, payload []byte)) error {
	before, err := stored(ctx, js, stream)
	if err != nil {
		return err
	}
	for i := range n {
		subject, payload := message(i)
		if err := publish(ctx, js, subject, payload, i%fillWindow == 0 || i == n-1); err != nil {
			return fmt.Errorf("fill %s: message %d of %d: %w", stream, i+1, n, err)
		}
	}
	after, err := stored(ctx, js, stream)
	if err == nil && after-before != uint64(n) {
		err = fmt.Errorf("fill %s: the stream has taken %d of %d messages", stream, after-before, n)
	}
	return err
}

// publish sends a message. The stream confirms in the order in which it stores.
func publish(ctx context.Context, js jetstream.JetStream, subject string, payload []byte, confirm bool) error {
	if !confirm {
		return js.Conn().Publish(subject, payload)
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	_, err := js.Publish(ctx, subject, payload)
	return err
}

// stored returns how many messages a stream has taken.
func stored(ctx context.Context, js jetstream.JetStream, stream string) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, confirmTime)
	defer cancel()
	s, err := js.Stream(ctx, stream)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}
