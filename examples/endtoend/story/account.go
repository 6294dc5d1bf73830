package story

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// An Account says what became of every job that the gateway accepted. Each is counted
// once, by its id:
//
//	Accepted = Done + Waiting + Dead + Lost
type Account struct {
	Accepted int
	Done     int // the handler returned nil, and JetStream has removed it
	Waiting  int // in JetStream, for the next worker
	Dead     int // among the dead letters
	Lost     int // nobody knows of it: this must be 0

	Unsettled int // of Done: JetStream has it still, so that it will be done once more
	Again     int // done more than once, which at-least-once allows
	Failed    int // runs that failed and were retried
}

// How long an acknowledgement that was sent may take to show in the stream.
const (
	settleTimeout = 3 * time.Second
	settleStep    = 20 * time.Millisecond
)

// account compares the book with what JetStream has left, after the consumer has ended.
// The server works on acknowledgements after it has taken them, so what is done may be
// there for a moment still.
func account(ctx context.Context, js jetstream.JetStream, b *book) (Account, error) {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()
	for {
		a, err := compare(ctx, js, b)
		if a.Unsettled == 0 || err != nil {
			return a, err
		}
		select {
		case <-time.After(settleStep):
		case <-ctx.Done():
			return a, nil
		}
	}
}

func compare(ctx context.Context, js jetstream.JetStream, b *book) (Account, error) {
	var waiting, dead bits
	for name, to := range map[string]*bits{streamName: &waiting, overflowName: &waiting, deadName: &dead} {
		if err := readIDs(ctx, js, name, to); err != nil {
			return Account{}, fmt.Errorf("read what is left in %s: %w", name, err)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	a := Account{Again: b.again, Failed: b.failed}
	for id := range b.lastID + 1 {
		if !b.accepted.has(id) {
			continue
		}
		a.Accepted++
		switch {
		case b.done.has(id):
			a.Done++
			if waiting.has(id) {
				a.Unsettled++
			}
		case waiting.has(id):
			a.Waiting++
		case dead.has(id):
			a.Dead++
		default:
			a.Lost++
		}
	}
	return a, nil
}

// readIDs adds the ids of all jobs in a stream.
func readIDs(ctx context.Context, js jetstream.JetStream, name string, to *bits) error {
	stream, err := js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // the consumer had not made it yet
	}
	if err != nil {
		return err
	}
	for seq := uint64(1); ; seq++ {
		m, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(">")) // the next at or after seq
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return nil
		}
		if err != nil {
			return err
		}
		seq = m.Sequence
		if id, err := strconv.ParseUint(m.Header.Get(jobID), 10, 64); err == nil {
			to.add(id)
		}
	}
}
