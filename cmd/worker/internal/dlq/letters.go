package dlq

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// Config says whose dead letters are meant.
type Config struct {
	// Stream is the stream that the durable consumes. Required.
	Stream string
	// Durable is the durable. Required.
	Durable string
	// DeadLetter is the stream of the dead letters. Default <Stream>_DEAD.
	DeadLetter string
	// Overflow is the stream of the copies. Default <Stream>_OVERFLOW.
	Overflow string
}

// Letters are the dead letters of one durable. They are safe for concurrent use.
type Letters struct {
	js  jetstream.JetStream
	cfg Config
}

// String tells whose they are, and where.
func (l *Letters) String() string { return l.cfg.Durable + " in stream " + l.cfg.DeadLetter }

// New returns the dead letters that cfg names. It does no I/O.
func New(js jetstream.JetStream, cfg Config) (*Letters, error) {
	var errs []error
	if js == nil {
		errs = append(errs, errors.New("dlq: New needs a JetStream context"))
	}
	cfg.DeadLetter = cmp.Or(cfg.DeadLetter, envelope.DeadLetterStream(cfg.Stream))
	cfg.Overflow = cmp.Or(cfg.Overflow, envelope.OverflowStream(cfg.Stream))
	for _, f := range []struct{ name, value string }{
		{"Stream", cfg.Stream}, {"Durable", cfg.Durable}, {"DeadLetter", cfg.DeadLetter}, {"Overflow", cfg.Overflow},
	} {
		if f.value == "" || strings.ContainsAny(f.value, " \t\r\n\f\x00.*>/\\") {
			errs = append(errs, fmt.Errorf("dlq: %s is %q, must be a name without spaces or any of . * > / \\", f.name, f.value))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return &Letters{js: js, cfg: cfg}, nil
}
