package dlq

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// Replay says how entries are handed over again.
type Replay struct {
	// ToSubject is where the original messages are published again, for all who
	// consume that subject. Default: the durable alone gets them, as a retry that is
	// due at once and is its first attempt.
	ToSubject string
	// DryRun checks everything, and changes nothing.
	DryRun bool
}

// Result tells what became of one entry.
type Result struct {
	Entry   Entry  `json:"entry"`
	Subject string `json:"subject,omitempty"` // where its copy goes
	Stream  string `json:"stream,omitempty"`  // that has the copy, or would have it
	Copy    uint64 `json:"copy,omitempty"`    // the sequence of the copy there; 0: there is none
	Removed bool   `json:"removed"`           // from the dead letters
	// Err is why the entry is still there, if that is not what was asked.
	Err error `json:"-"`
}

// Replay hands entries over again, one after another, and removes each when its copy
// is confirmed and no duplicate. What is wrong with one entry is told in its Result,
// and the entry stays. An error says that it is of no use to go on, and is the last
// that is yielded, with the Result that it came with; only one that entries yield is
// passed on, and goes on if they do.
//
// A message that is published again has the headers it was published with, except
// all Nats-*: each is an instruction to the server about one publication. Published
// again, Nats-Msg-Id would be taken for a duplicate and dropped; Nats-Expected-* and
// Nats-Batch-* be refused; Nats-Rollup erase what the subject has; Nats-TTL let the
// message expire before it is handled; Nats-Schedule-* make a schedule of it; and
// Nats-Trace-Only not store it. A handler that gets the durable's own copy sees
// them, as they travel escaped.
func (l *Letters) Replay(ctx context.Context, entries iter.Seq2[Entry, error], r Replay) iter.Seq2[Result, error] {
	return func(yield func(Result, error) bool) {
		t, err := l.target(ctx, r)
		if err != nil {
			yield(Result{}, err)
			return
		}
		l.each(ctx, entries, yield, func(dead jetstream.Stream, e Entry) (Result, error) {
			return l.replay(ctx, dead, e, t, r.DryRun)
		})
	}
}

// each yields what f does with each entry. An error of f ends it.
func (l *Letters) each(ctx context.Context, entries iter.Seq2[Entry, error], yield func(Result, error) bool, f func(jetstream.Stream, Entry) (Result, error)) {
	dead, err := l.removable(ctx)
	if err != nil {
		yield(Result{}, err)
		return
	}
	for e, err := range entries {
		var r Result
		fatal := false
		if err == nil {
			r, err = f(dead, e)
			fatal = err != nil
		}
		if !yield(r, err) || fatal {
			return
		}
	}
}

// replay hands one entry over. The error, if any, concerns all that come after too.
func (l *Letters) replay(ctx context.Context, dead jetstream.Stream, e Entry, t target, dryRun bool) (Result, error) {
	r := Result{Entry: e, Subject: t.subject, Stream: t.stream}
	m, err := l.prepare(ctx, e, t)
	if err != nil {
		r.Err = fmt.Errorf("dlq: entry %d stays: %w", e.Sequence, err)
		return r, ctx.Err()
	}
	if dryRun {
		return r, nil
	}
	ack, err := l.publish(ctx, m)
	if err != nil {
		r.Err = fmt.Errorf("dlq: entry %d stays: %w", e.Sequence, err)
		if errors.Is(err, errNoAnswer) || ctx.Err() != nil {
			return r, r.Err
		}
		return r, nil
	}
	if ack.Stream != t.stream {
		r.Err = fmt.Errorf("dlq: entry %d stays: its copy went to stream %s as message %d, must go to %s", e.Sequence, ack.Stream, ack.Sequence, t.stream)
		return r, r.Err
	}
	r.Copy = ack.Sequence
	if err := l.remove(ctx, dead, e.Sequence); err != nil {
		r.Err = fmt.Errorf("dlq: entry %d has its copy, and could not be removed; discard it, as a second replay may double it: %w", e.Sequence, err)
		return r, r.Err
	}
	r.Removed = true
	return r, nil
}

// prepare returns what is published for an entry, if it can be replayed.
func (l *Letters) prepare(ctx context.Context, e Entry, t target) (*nats.Msg, error) {
	letter, err := l.read(ctx, e.Sequence)
	if err != nil {
		return nil, err
	}
	if letter.Foreign {
		return nil, errors.New("it is not a record of Spillway")
	}
	if letter.AtOrigin {
		if err := l.fetch(ctx, &letter); err != nil {
			return nil, err
		}
	}
	m := l.copyOf(letter, t)
	if size, limit := m.Size()-len(m.Subject), l.js.Conn().MaxPayload(); int64(size) > limit {
		return nil, t.tooLarge(size, limit)
	}
	return m, nil
}

// copyOf returns the copy of a letter. Its id is that of the entry, which is new to
// any stream but stays the same however often the entry is replayed.
func (l *Letters) copyOf(letter Letter, t target) *nats.Msg {
	header := make(nats.Header)
	if t.lane {
		header = envelope.Carry(letter.Header, letter.origin)
		envelope.SetAttempt(header, 1, dueNow)
	} else {
		for k, v := range letter.Header {
			if !isServerHeader(k) {
				header[k] = v
			}
		}
	}
	header.Set(jetstream.MsgIDHeader, envelope.MsgID(l.cfg.DeadLetter, l.cfg.Durable, letter.Sequence, letter.Died))
	return &nats.Msg{Subject: t.subject, Header: header, Data: letter.Data}
}

var dueNow time.Time
