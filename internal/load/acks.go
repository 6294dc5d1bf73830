package load

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// confirmed takes the server's answer to a message of ours.
func (t *JetStream) confirmed(m *nats.Msg, now time.Time) {
	at, err := readConfirmation(m)
	if err == nil && at.stream != t.cfg.Stream {
		err = fmt.Errorf("subject %s is of stream %s, not of %s", t.cfg.Subject, at.stream, t.cfg.Stream)
	}
	t.mu.Lock()
	f := t.flights.answered(m.Subject)
	if f == nil { // timed out
		t.mu.Unlock()
		return
	}
	if err != nil || t.cfg.Durable == "" {
		t.mu.Unlock()
		f.call.DoneAt(now, err)
		return
	}
	end, over := t.flights.store(f, at)
	t.mu.Unlock()
	if over {
		f.call.DoneAt(end.at, end.err)
	}
}

// readConfirmation returns where a message was stored, or why it was not.
func readConfirmation(m *nats.Msg) (place, error) {
	const noResponders = "503"
	if len(m.Data) == 0 && m.Header.Get("Status") == noResponders {
		return place{}, errors.New("no stream takes the subject, or JetStream is away")
	}
	var answer struct {
		Error *struct {
			Description string `json:"description"`
		} `json:"error"`
		Stream   string `json:"stream"`
		Sequence uint64 `json:"seq"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return place{}, fmt.Errorf("the confirmation cannot be read: %w", err)
	}
	if answer.Error != nil {
		return place{}, fmt.Errorf("not stored: %s", answer.Error.Description)
	}
	return place{answer.Stream, answer.Sequence}, nil
}

var (
	ackBytes  = []byte("+ACK")
	nextBytes = []byte("+NXT") // an ack that asks for more
	termBytes = []byte("+TERM")
)

// acknowledged takes an ack of a worker. One that hands a message back, or asks for more
// time, ends nothing.
func (t *JetStream) acknowledged(m *nats.Msg, now time.Time) {
	end := ending{at: now}
	switch {
	case len(m.Data) == 0, bytes.HasPrefix(m.Data, ackBytes), bytes.HasPrefix(m.Data, nextBytes):
	case bytes.HasPrefix(m.Data, termBytes):
		end.err = errors.New("terminated by the worker")
	default:
		return
	}
	// The subject of an ack is the reply subject of its message, which the client can read.
	meta, err := (&nats.Msg{Reply: m.Subject, Sub: m.Sub}).Metadata()
	if err != nil {
		return
	}
	at := place{meta.Stream, meta.Sequence.Stream}
	t.mu.Lock()
	t.acks++
	f := t.flights.byPlace[at]
	if f == nil {
		t.flights.earlyEnds.put(at, end)
		t.mu.Unlock()
		return
	}
	t.flights.forget(f)
	t.mu.Unlock()
	f.call.DoneAt(now, end.err)
}

// moved takes a copy that a worker publishes, or the confirmation of one.
func (t *JetStream) moved(m *nats.Msg, now time.Time) {
	if t.confirmedCopy(m) {
		return
	}
	stream, seq, final, ok := t.cfg.Moves.Origin(m.Subject, m.Header)
	if !ok {
		return
	}
	if final == "" && m.Reply == "" {
		final = "moved by a worker that asks for no confirmation"
	}
	end := ending{at: now, reply: m.Reply}
	if final != "" {
		end = ending{at: now, err: errors.New(final)}
	}
	if end.reply != "" {
		t.ears.follow(end.reply)
	}
	origin, over := place{stream, seq}, false
	t.mu.Lock()
	f := t.flights.byOrigin[origin]
	switch {
	case f == nil:
		t.flights.earlyEnds.put(origin, end)
	case end.reply != "":
		end, over = t.flights.move(f, end.reply)
	default:
		t.flights.answered(f.reply)
		t.flights.forget(f)
		over = true
	}
	t.mu.Unlock()
	if over {
		f.call.DoneAt(end.at, end.err)
	}
}

// confirmedCopy reports whether m is the confirmation of a copy. One that is a refusal
// decides nothing: the worker publishes the copy again.
func (t *JetStream) confirmedCopy(m *nats.Msg) bool {
	if !t.ears.followed(m.Subject) {
		return false
	}
	at, err := readConfirmation(m)
	if err != nil {
		return true
	}
	end, over := ending{}, false
	t.mu.Lock()
	f := t.flights.answered(m.Subject)
	if f == nil {
		t.flights.earlyCopies.put(m.Subject, at)
	} else {
		end, over = t.flights.store(f, at)
	}
	t.mu.Unlock()
	if over {
		f.call.DoneAt(end.at, end.err)
	}
	return true
}
