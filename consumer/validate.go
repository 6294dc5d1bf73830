package consumer

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/limiter"
)

// Bounds of the config.
const (
	minAckWait      = time.Second
	minBufferMsgs   = 4 // each lane needs one, and main a second
	minBufferBytes  = 64 << 10
	maxBufferMsgs   = 1 << 20
	maxWorkers      = 1 << 16
	maxQueue        = 1 << 20
	minWeight       = 0.001
	maxWeight       = 1000
	maxMaxAttempts  = 1 << 20
	maxDurableBytes = 128
)

// Validate reports every mistake in cfg at once, each with the field, its value and
// the bound. New calls it; a program that only checks a config may call it alone.
func (cfg Config) Validate() error {
	return cfg.withDefaults().validate()
}

func (cfg Config) validate() error {
	var c check
	c.name("Stream", cfg.Stream)
	c.durable(cfg.Durable)
	c.name("Overflow.Stream", cfg.Overflow.Stream)
	c.name("DeadLetter.Stream", cfg.DeadLetter.Stream)
	distinct := cfg.Stream != cfg.Overflow.Stream && cfg.Stream != cfg.DeadLetter.Stream && cfg.Overflow.Stream != cfg.DeadLetter.Stream
	c.that(distinct, "Stream, Overflow.Stream and DeadLetter.Stream must be three streams, are %q, %q and %q", cfg.Stream, cfg.Overflow.Stream, cfg.DeadLetter.Stream)
	for i, s := range cfg.Subjects {
		c.subject(fmt.Sprintf("Subjects[%d]", i), s)
	}
	for i, s := range cfg.FilterSubjects {
		c.subject(fmt.Sprintf("FilterSubjects[%d]", i), s)
	}
	deliver := cfg.Deliver == jetstream.DeliverAllPolicy || cfg.Deliver == jetstream.DeliverNewPolicy
	c.that(deliver, "Deliver is %s, must be all or new", cfg.Deliver)
	between(&c, "Workers", cfg.Workers, 1, maxWorkers)
	between(&c, "Buffer.Messages", cfg.Buffer.Messages, minBufferMsgs, maxBufferMsgs)
	c.that(cfg.Buffer.Bytes >= minBufferBytes, "Buffer.Bytes is %d, must be at least %d", cfg.Buffer.Bytes, minBufferBytes)
	between(&c, "Buffer.TargetDelay", cfg.Buffer.TargetDelay, time.Millisecond, 24*time.Hour)
	between(&c, "AckWait", cfg.AckWait, minAckWait, 24*time.Hour)
	between(&c, "DrainTimeout", cfg.DrainTimeout, 0, 24*time.Hour)
	c.that(cfg.Overflow.MaxBytes == -1 || cfg.Overflow.MaxBytes > 0, "Overflow.MaxBytes is %d, must be positive, or -1 for no bound", cfg.Overflow.MaxBytes)
	c.that(cfg.DeadLetter.MaxBytes == -1 || cfg.DeadLetter.MaxBytes > 0, "DeadLetter.MaxBytes is %d, must be positive, or -1 for no bound", cfg.DeadLetter.MaxBytes)
	cfg.Retry.validate(&c)
	cfg.Tenants.validate(&c, "Tenants")
	c.that(!cfg.Tenants.SharedRate || cfg.SharedRate != nil, "Tenants.SharedRate is true, must not be without Config.SharedRate")
	cfg.validateDownstreams(&c)
	return c.err()
}

func (r Retry) validate(c *check) {
	between(c, "Retry.MaxAttempts", r.MaxAttempts, 1, maxMaxAttempts)
	between(c, "Retry.Initial", r.Initial, time.Millisecond, 24*time.Hour)
	between(c, "Retry.Max", r.Max, r.Initial, 30*24*time.Hour)
	between(c, "Retry.Multiplier", r.Multiplier, 1, 100)
	between(c, "Retry.Jitter", r.Jitter, 0, 1)
}

// Validate reports every mistake in p; the names in its errors begin with field.
func (p TenantPolicy) Validate(field string) error {
	var c check
	p.withDefaults().validate(&c, field)
	return c.err()
}

func (p TenantPolicy) validate(c *check, field string) {
	between(c, field+".Queue", p.Queue, 1, maxQueue)
	c.that(p.High > 0 && p.High <= 1, "%s.High is %v, must be above 0 and at most 1", field, p.High)
	between(c, field+".Low", p.Low, 0, p.High)
	between(c, field+".Weight", p.Weight, minWeight, maxWeight)
	between(c, field+".MaxInFlight", p.MaxInFlight, 0, maxWorkers)
	if p.Rate != (limiter.Rate{}) {
		c.rate(field+".Rate", p.Rate)
	} else {
		c.that(!p.SharedRate, "%s.SharedRate is true, must not be without %s.Rate", field, field)
	}
	c.that(slices.Contains(OverflowPolicies(), p.OnOverflow), "%s.OnOverflow is %q, must be one of %q", field, p.OnOverflow, OverflowPolicies())
}

// check collects mistakes.
type check struct{ errs []error }

func (c *check) that(ok bool, format string, args ...any) {
	if !ok {
		c.errs = append(c.errs, fmt.Errorf("consumer: "+format, args...))
	}
}

func (c *check) err() error { return errors.Join(c.errs...) }

// name checks the name of a stream or durable, which becomes a token of subjects.
func (c *check) name(field, s string) {
	switch {
	case s == "":
		c.that(false, "%s is required", field)
	case strings.ContainsAny(s, " \t\r\n\f\x00.*>/\\"):
		c.that(false, "%s is %q, must not contain spaces or any of . * > / \\", field, s)
	}
}

// durable checks the name of the durable. It is stricter than NATS: the name is part
// of ids and of the names of other consumers, and must not blur with what is beside it.
func (c *check) durable(s string) {
	c.that(s != "", "Durable is required")
	c.that(len(s) <= maxDurableBytes, "Durable is %d bytes long, must be at most %d", len(s), maxDurableBytes)
	const fit = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	c.that(!strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(fit, r) }), "Durable is %q, must hold only letters, digits, - and _", s)
}

func (c *check) subject(field, s string) {
	if err := checkPattern(s); err != nil {
		c.that(false, "%s is %q: %v", field, s, err)
	}
}

type ordered interface {
	~int | ~int64 | ~float64
}

// between checks lo <= v <= hi; a NaN is in no range.
func between[T ordered](c *check, field string, v, lo, hi T) {
	c.that(v >= lo && v <= hi, "%s is %v, must be between %v and %v", field, v, lo, hi)
}
