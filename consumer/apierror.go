package consumer

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// plainError is an error in words for people; [errors.Is] and [errors.As] find its cause.
type plainError struct {
	text  string
	cause error
}

func (e *plainError) Error() string { return e.text }

func (e *plainError) Unwrap() error { return e.cause }

// because is an error whose words say it all, with its cause.
func because(cause error, format string, args ...any) error {
	return &plainError{text: fmt.Sprintf(format, args...), cause: cause}
}

// inWords says what is wrong with a request of the JetStream API. The client's words are
// "nats: API error: code=404 err_code=10059 description=stream not found".
func inWords(err error) error {
	if api, ok := errors.AsType[*jetstream.APIError](err); ok && api.Description != "" {
		return because(err, "%s (JetStream error %d)", api.Description, api.ErrorCode)
	}
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return because(err, "nobody answers for JetStream; is it enabled for this account and domain?")
	case errors.Is(err, context.DeadlineExceeded):
		return because(err, "no answer from JetStream in %v", apiTimeout)
	}
	return err
}
