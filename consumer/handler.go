package consumer

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Handler does the work of a message. Handlers run at once in as many goroutines as
// Config.Workers says, and a message may come more than once: a handler must be
// safe for concurrent use, and idempotent.
//
// The context ends when the route's Timeout is over, when the lease of the message
// was lost, or when the drain ran out of time; context.Cause tells which: a
// [context.DeadlineExceeded], [ErrLeaseLost] or [ErrDrainTimeout]. What the return
// value means is in the package comment.
type Handler interface {
	Handle(ctx context.Context, m *Message) error
}

// HandlerFunc is a function that is a Handler.
type HandlerFunc func(ctx context.Context, m *Message) error

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, m *Message) error { return f(ctx, m) }

var (
	// ErrLeaseLost is the cause of a handler's context when the message may have
	// been given to somebody else, because JetStream could not be told in time that
	// it is still being worked on.
	ErrLeaseLost = errors.New("consumer: lease lost: the message may run elsewhere")
	// ErrDrainTimeout is the cause of a handler's context when the drain ran out of
	// time, and what Run returns then.
	ErrDrainTimeout = errors.New("consumer: drain ran out of time")
)

// RetryAfter marks err as a failure that is to be tried again after d, in place of
// the backoff of Config.Retry. It spends an attempt. A d below 0 counts as 0, one above
// 30 days as 30 days. It returns nil if err is nil.
func RetryAfter(err error, d time.Duration) error { return mark(err, verdictRetryAfter, d) }

// Overloaded marks err as the answer of a downstream that has too much to do. The
// message stays at the head of its queue for d, or for a growing backoff if d is 0
// or less, and no attempt is spent. It returns nil if err is nil.
func Overloaded(err error, d time.Duration) error { return mark(err, verdictOverloaded, d) }

// DeadLetter marks err as final: the message goes to the dead letters at once. It
// returns nil if err is nil.
func DeadLetter(err error) error { return mark(err, verdictDeadLetter, 0) }

type verdict uint8

const (
	verdictRetry verdict = iota
	verdictRetryAfter
	verdictOverloaded
	verdictDeadLetter
)

// verdictError is an error whose handler said what it means for the message.
type verdictError struct {
	err     error
	verdict verdict
	delay   time.Duration
}

func mark(err error, v verdict, d time.Duration) error {
	if err == nil {
		return nil
	}
	return &verdictError{err: err, verdict: v, delay: max(d, 0)}
}

func (e *verdictError) Error() string { return e.err.Error() }
func (e *verdictError) Unwrap() error { return e.err }

// verdictOf returns what err asks for; the outermost mark counts.
func verdictOf(err error) (verdict, time.Duration) {
	if e, ok := errors.AsType[*verdictError](err); ok {
		return e.verdict, e.delay
	}
	return verdictRetry, 0
}

// PanicError is what a handler that panicked is taken to have returned.
type PanicError struct {
	Value any
	Stack []byte
}

func (e *PanicError) Error() string { return fmt.Sprintf("handler panicked: %v", e.Value) }

// Unwrap returns the value of the panic if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}
