package main

import (
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/consumer"
)

// The exit codes.
const (
	exitClean       = 0
	exitFailed      = 1
	exitUsage       = 2
	exitUnreachable = 3
	exitDrain       = 4
)

// usageError is a mistake in the command line or in the config.
type usageError struct{ err error }

func (e *usageError) Error() string { return e.err.Error() }
func (e *usageError) Unwrap() error { return e.err }

func exitCode(err error) int {
	if err == nil {
		return exitClean
	}
	if _, ok := errors.AsType[*usageError](err); ok || errors.Is(err, natslink.ErrFile) {
		return exitUsage
	}
	if _, ok := errors.AsType[*natslink.UnreachableError](err); ok {
		return exitUnreachable
	}
	if errors.Is(err, consumer.ErrDrainTimeout) {
		return exitDrain
	}
	return exitFailed
}

// hint returns what to look at first after err, "" if it says so itself.
func hint(err error) string {
	if absent, ok := errors.AsType[*absentError](err); ok {
		return absent.hint()
	}
	switch {
	case errors.Is(err, nats.ErrAuthorization):
		return "Look at nats.credentials, or at the user and password in nats.url."
	case exitCode(err) == exitDrain:
		return "What still ran was ended: it runs again, elsewhere or after the start. A longer drain_timeout lets it finish."
	case exitCode(err) == exitUnreachable:
		return "Is a server running there? For trials \"worker run --embedded DIR\" starts one in its own process."
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrJetStreamNotEnabled), errors.Is(err, jetstream.ErrJetStreamNotEnabledForAccount):
		return "Is JetStream enabled on the server and for this account, and is nats.domain right?"
	}
	return ""
}
