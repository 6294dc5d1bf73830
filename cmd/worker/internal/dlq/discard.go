package dlq

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Discard removes entries for good, or with dryRun tells which. What it yields is as
// for Replay.
func (l *Letters) Discard(ctx context.Context, entries iter.Seq2[Entry, error], dryRun bool) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		l.each(ctx, entries, yield, func(dead jetstream.Stream, e Entry) (Result, error) {
			r := Result{Entry: e}
			if dryRun {
				return r, nil
			}
			if err := l.remove(ctx, dead, e.Sequence); err != nil {
				r.Err = fmt.Errorf("dlq: entry %d could not be removed: %w", e.Sequence, err)
				return r, r.Err
			}
			r.Removed = true
			return r, nil
		})
	}
}

// removable returns the stream of the dead letters, or an error when it keeps what is
// to be removed from it.
func (l *Letters) removable(ctx context.Context) (jetstream.Stream, error) {
	s, err := l.stream(ctx, l.cfg.DeadLetter)
	if err != nil {
		return nil, err
	}
	if cfg := s.CachedInfo().Config; cfg.DenyDelete || cfg.Sealed {
		return nil, fmt.Errorf("dlq: stream %s denies the removal of messages", cfg.Name)
	}
	return s, nil
}

// remove removes an entry. It is tried again while there is no answer, as removing
// twice does no harm; an entry that is not there was removed.
func (l *Letters) remove(ctx context.Context, dead jetstream.Stream, seq uint64) error {
	for giveUp := time.Now().Add(patience); ; {
		err := deleteOnce(ctx, dead, seq)
		if err == nil {
			return nil
		}
		if _, readErr := l.read(ctx, seq); errors.Is(readErr, ErrNotFound) {
			return nil
		}
		if errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) || ctx.Err() != nil || time.Now().After(giveUp) {
			return err
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		}
	}
}

func deleteOnce(ctx context.Context, s jetstream.Stream, seq uint64) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	return s.DeleteMsg(ctx, seq)
}
