package consumer

import (
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// copyHeader is the header of a copy of d with the given headers of its publisher, less
// what says why it is copied.
func (c *Consumer) copyHeader(d *delivery, user nats.Header) nats.Header {
	header := envelope.Carry(user, d.origin())
	header.Set(nats.MsgIdHdr, envelope.MsgID(d.lane.stream, c.cfg.Durable, d.source.sequence, d.source.published()))
	return header
}

// copyRoom is what our own headers take in a copy at most, the subject apart.
const copyRoom = 2 << 10

// movable reports whether a copy of d fits into what the server takes. What does
// not is retried in place, with JetStream's count for its attempts.
func (c *Consumer) movable(d *delivery) bool {
	header := copyRoom + len(d.msg.Subject)
	if len(d.msg.Header) > 0 {
		header += envelope.CarriedSize(d.msg.Header)
	}
	return header <= envelope.MaxHeaderBytes && int64(header+len(d.msg.Data)) <= c.maxPayload.Load()
}

// move copies d to subject, and settles it as outcome once the copy is confirmed. If
// the copy is refused, d is handed back.
func (c *Consumer) move(d *delivery, subject string, header nats.Header, outcome Outcome) {
	c.mover.submit(&move{
		d: d, subject: subject, header: header, data: d.msg.Data, size: d.size,
		done: func(err error) {
			if err == nil {
				c.ack(d, outcome)
				return
			}
			c.refused(d, subject, err)
		},
	})
}

// refused hands back a message whose copy was refused, for longer each time it
// comes back. That raises its count of deliveries, which judge takes into account.
func (c *Consumer) refused(d *delivery, subject string, err error) {
	c.lastRefusal.Store(time.Now().UnixNano())
	delay := growing(time.Second, c.live.Load().Retry.Max, d.msg.Deliveries-1)
	if err == errMoverClosed { //nolint:errorlint // our own value, never wrapped
		delay = handBackDelay
	} else {
		c.logs.move.warn("a copy was refused; the message was handed back", "to", subject, "tenant", d.msg.Tenant,
			"stream", d.lane.stream, "sequence", d.source.sequence, "again_in", delay, "error", err)
	}
	c.handBack(d, delay, OutcomeHandBack)
}
