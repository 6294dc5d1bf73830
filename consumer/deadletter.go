package consumer

import (
	"errors"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// How much of an error and of a stack a dead letter tells; less if it does not fit
// beside the payload.
const (
	maxErrorHeader = 4 << 10
	maxStackHeader = 16 << 10
)

// deadLetter moves d to the dead letters, with what is known of why. If that stream is
// full or away, the original stays and comes again.
func (c *Consumer) deadLetter(d *delivery, reason Reason, err error) {
	letter, ok := c.writeLetter(d, reason, err)
	if !ok {
		c.logs.move.warn("a message is too large to be dead-lettered; it stays in its stream", "reason", reason,
			"stream", d.lane.stream, "sequence", d.source.sequence, "bytes", d.size, "error", err)
		c.handBack(d, c.live.Load().Retry.Max, OutcomeHandBack)
		return
	}
	letter.done = func(refusal error) {
		if refusal != nil {
			c.refusedLetter(d, letter.subject, refusal)
			return
		}
		c.deadLetters.add(reason)
		c.logs.letters.warn("a message was dead-lettered", "reason", reason, "tenant", d.msg.Tenant, "subject", d.msg.Subject,
			"stream", d.msg.Stream, "sequence", d.msg.Sequence, "attempts", d.msg.Attempt, "error", err)
		c.observers.deadLettered(DeadLettered{
			Tenant: d.msg.Tenant, Reason: reason, Subject: d.msg.Subject, Stream: d.msg.Stream, Sequence: d.msg.Sequence, Err: err.Error(),
		})
		c.ack(d, OutcomeDeadLetter)
	}
	c.mover.submit(letter)
}

// refusedLetter keeps a message whose dead letter was refused. In the suspect lane it
// would keep all other suspects waiting, so there it becomes a retry that is due when
// there may be room.
func (c *Consumer) refusedLetter(d *delivery, subject string, refusal error) {
	if d.lane.kind == LaneSuspect && !errors.Is(refusal, errMoverClosed) && c.movable(d) {
		c.postpone(d, time.Now().Add(c.live.Load().Retry.Max))
		return
	}
	c.refused(d, subject, refusal)
}

// writeLetter writes the dead letter of d. What does not fit is cut: the stack, then
// the error, then the origin's headers and payload, if the origin still has them; ok is
// false if nothing of that helps.
func (c *Consumer) writeLetter(d *delivery, reason Reason, err error) (letter *move, ok bool) {
	const reserved = len(envelope.HeaderStack) + len(envelope.HeaderError) + len(envelope.HeaderPayload) + len(envelope.AtOrigin) + 3*headerOverhead
	header := c.letterHeader(d, d.msg.Header, reason)
	if headerSize(header)+reserved > envelope.MaxHeaderBytes {
		if !c.keepsOrigin(d) {
			return nil, false
		}
		header = c.letterHeader(d, nil, reason)
		header.Set(envelope.HeaderHeaders, envelope.AtOrigin)
	}
	data := d.msg.Data
	if headerSize(header)+reserved+len(data) > int(c.maxPayload.Load()) {
		if !c.keepsOrigin(d) {
			return nil, false
		}
		data = nil
		header.Set(envelope.HeaderPayload, envelope.AtOrigin)
	}
	room := min(envelope.MaxHeaderBytes, int(c.maxPayload.Load())-len(data)) - headerSize(header) - reserved
	if text := envelope.HeaderValue(err.Error(), min(maxErrorHeader, room)); text != "" {
		header.Set(envelope.HeaderError, text)
		room -= len(text)
	}
	if p, isPanic := errors.AsType[*PanicError](err); isPanic {
		if stack := envelope.HeaderValue(string(p.Stack), min(maxStackHeader, room)); stack != "" {
			header.Set(envelope.HeaderStack, stack)
		}
	}
	return &move{
		d:       d,
		subject: envelope.DeadLetterSubject(c.cfg.DeadLetter.Stream, c.cfg.Durable, d.msg.Tenant),
		header:  header,
		data:    data,
		size:    d.size,
	}, true
}

// letterHeader is the header of a dead letter, less its error.
func (c *Consumer) letterHeader(d *delivery, user nats.Header, reason Reason) nats.Header {
	header := c.copyHeader(d, user)
	header.Set(envelope.HeaderReason, string(reason))
	header.Set(envelope.HeaderAttempts, strconv.Itoa(d.msg.Attempt))
	if d.msg.Tenant != "" {
		header.Set(envelope.HeaderTenant, envelope.HeaderValue(d.msg.Tenant, maxTenantBytes))
	}
	return header
}

// keepsOrigin reports whether the origin's stream keeps a message that was
// acknowledged.
func (c *Consumer) keepsOrigin(d *delivery) bool {
	return d.lane.kind == LaneMain && c.source.Load().Config.Retention == jetstream.LimitsPolicy
}

// headerOverhead is what a header costs on the wire beside its key and value.
const headerOverhead = len(": \r\n")

// headerSize is the size of h on the wire.
func headerSize(h nats.Header) int {
	n := len("NATS/1.0\r\n\r\n")
	for key, values := range h {
		for _, v := range values {
			n += len(key) + len(v) + headerOverhead
		}
	}
	return n
}
