package dlq

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	answerWithin = 5 * time.Second  // after which a copy is published again
	patience     = 30 * time.Second // after which one is given up
	pause        = 250 * time.Millisecond
)

var (
	// ErrDuplicate is that the stream has had a copy of the entry lately.
	ErrDuplicate = errors.New("a copy was made before, within the duplicate window of the stream: discard the entry if it was handled, or replay it later")

	errNoAnswer = errors.New("no definite answer; a copy may have been made")
)

// publish publishes m until there is a definite answer: a lost one does not say
// whether the copy was stored, and the same id makes sure that it is stored once.
func (l *Letters) publish(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	giveUp := time.Now().Add(patience)
	for ours := false; ; ours = true {
		ack, err := l.publishOnce(ctx, m)
		switch {
		case err == nil && ack.Duplicate && !ours:
			return nil, ErrDuplicate
		case err == nil: // a duplicate of ours: the answer that was lost was yes
			return ack, nil
		case isDefinite(err) && !ours:
			return nil, err
		case isDefinite(err), ctx.Err() != nil, time.Now().After(giveUp):
			return nil, fmt.Errorf("%w: %w", errNoAnswer, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func (l *Letters) publishOnce(ctx context.Context, m *nats.Msg) (*jetstream.PubAck, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return l.js.PublishMsg(ctx, m)
}

// idInProcess is the error code of a message whose id is just being stored.
const idInProcess jetstream.ErrorCode = 10158

// isDefinite reports whether err says that the message was not stored.
func isDefinite(err error) bool {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok {
		return api.ErrorCode != idInProcess
	}
	return errors.Is(err, jetstream.ErrNoStreamResponse) ||
		errors.Is(err, nats.ErrMaxPayload) ||
		errors.Is(err, nats.ErrBadSubject) ||
		errors.Is(err, nats.ErrConnectionClosed) ||
		errors.Is(err, nats.ErrHeadersNotSupported)
}
