package demo

import (
	"context"
	"fmt"
	"io"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

// Account says what became of every message.
type Account struct {
	rows []row

	Published    int
	Handled      int
	Waiting      int // in JetStream, to be handled by the next worker
	DeadLettered int
}

// Lost is how many messages nobody knows of.
func (a Account) Lost() int { return a.Published - a.Handled - a.Waiting - a.DeadLettered }

// Settle asks JetStream, after the consumer of s has ended, for what was not handled.
func Settle(ctx context.Context, js jetstream.JetStream, s consumer.Snapshot, cfg consumer.Config, tally *Tally) (Account, error) {
	var a Account
	a.rows, _ = tally.rows(false)
	for _, r := range a.rows {
		a.Published += r.published
		a.Handled += r.handled
	}
	waiting, err := waitingOn(ctx, js, cfg)
	if err != nil {
		return a, err
	}
	a.Waiting = waiting
	for _, n := range s.DeadLetters {
		a.DeadLettered += int(n)
	}
	return a, nil
}

// waitingOn counts what the durable has to do still: of the stream, and copies, which are
// there until they are done.
func waitingOn(ctx context.Context, js jetstream.JetStream, cfg consumer.Config) (int, error) {
	c, err := js.Consumer(ctx, cfg.Stream, cfg.Durable)
	if err != nil {
		return 0, fmt.Errorf("counting what waits on %s of %s: %w", cfg.Durable, cfg.Stream, err)
	}
	copies, err := js.Stream(ctx, cfg.Overflow.Stream)
	if err != nil {
		return 0, fmt.Errorf("counting what waits in %s: %w", cfg.Overflow.Stream, err)
	}
	info := c.CachedInfo()
	return int(info.NumPending) + info.NumAckPending + int(copies.CachedInfo().State.Msgs), nil
}

// Print writes the account.
func (a Account) Print(w io.Writer) {
	fmt.Fprintf(w, "\n%-8s %9s %8s %8s\n", "TENANT", "PUBLISHED", "HANDLED", "WAIT P99")
	for _, r := range a.rows {
		fmt.Fprintf(w, "%-8s %9d %8d %8s\n", r.tenant, r.published, r.handled, brief(r.p99))
	}
	fmt.Fprintf(w, "\n%d published\n= %d handled\n+ %d still waiting in JetStream\n+ %d dead-lettered:\n", a.Published, a.Handled, a.Waiting, a.DeadLettered)
	switch lost := a.Lost(); {
	case lost == 0:
		fmt.Fprintln(w, "nothing lost.")
	case lost > 0:
		fmt.Fprintf(w, "%d LOST.\n", lost)
	default:
		fmt.Fprintf(w, "nothing lost, %d delivered again.\n", -lost)
	}
}
