package main

import (
	"errors"

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
