package consumer

import (
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// suspicious is how many deliveries without an outcome make a message a suspect. A
// delivery that we handed back ourselves counts with the rest: the suspect lane
// judges, and it costs an innocent message nothing but its turn there.
const suspicious = 3

// strikes is how many deliveries in the suspect lane convict: each one before the
// last ended with the process.
const strikes = 4

// admit takes in a message that arrived on l: it finds out whose it is and who
// handles it, and queues it. What cannot be handled goes to the dead letters. The
// server cannot have begun to count its AckWait before leaseStart.
func (c *Consumer) admit(l *lane, m *nats.Msg, now, leaseStart time.Time) {
	meta, ok := parseAck(m.Reply)
	if !ok { // no server sends this; without a sequence there is nothing to hold
		l.budget.release(1, int64(m.Size()))
		c.logs.admit.warn("a message has an ack subject that cannot be read", "lane", l.kind, "reply", m.Reply)
		return
	}
	d := &delivery{
		lane:   l,
		source: source{sequence: meta.sequence, nanos: meta.nanos},
	}
	l.note(meta)
	err := d.read(m, meta) // before anybody can see d
	d.size = l.weigh(m.Size(), headerCost(d.msg.Header, m))
	if !c.leases.add(d, m.Reply, leaseStart) {
		l.budget.release(1, int64(d.size))
		return
	}
	c.held.Add(1)
	if err != nil {
		c.deadLetter(d, ReasonBadCopy, err)
		return
	}
	if !c.movable(d) { // its attempts cannot be written down: JetStream's count is all there is
		d.msg.Attempt = max(d.msg.Attempt, meta.deliveries)
	}
	if !c.identify(d) || !c.dueNow(d, m.Header, now) || !c.judge(d, meta) {
		return
	}
	l.mix.see(d.msg.Tenant)
	c.enqueue(d, now)
}

// note takes in what the metadata of a message tells of its lane.
func (l *lane) note(meta ackMeta) {
	l.fresh.pulled++
	l.fresh.pending = meta.pending
	if meta.deliveries > 1 {
		l.fresh.redelivered++
	}
}

// read fills in what the handler sees: of a copy, what is told of its origin.
func (d *delivery) read(m *nats.Msg, meta ackMeta) error {
	d.msg = Message{
		Subject:    m.Subject,
		Stream:     d.lane.stream,
		Sequence:   meta.sequence,
		Published:  time.Unix(0, meta.nanos),
		Attempt:    1,
		Deliveries: meta.deliveries,
		Data:       m.Data,
	}
	if d.lane.kind == LaneMain {
		d.msg.Header = envelope.Clean(m.Header)
		return nil
	}
	header, origin, ok := envelope.Restore(m.Header)
	if !ok {
		d.msg.Header = envelope.Clean(m.Header)
		return fmt.Errorf("message %d of stream %s does not say what it is a copy of", meta.sequence, d.lane.stream)
	}
	d.msg.Header = header
	d.msg.Subject, d.msg.Stream, d.msg.Sequence, d.msg.Published = origin.Subject, origin.Stream, origin.Sequence, origin.Time
	d.msg.Attempt = envelope.Attempt(m.Header)
	return nil
}

// identify finds the tenant and the route. It reports false if the message went to
// the dead letters for want of one.
func (c *Consumer) identify(d *delivery) bool {
	tenant, err := c.askTenant(d)
	switch {
	case err != nil:
		c.deadLetter(d, ReasonBadTenant, err)
		return false
	case tenant == "":
		c.deadLetter(d, ReasonNoTenant, errors.New("no tenant found in the subject or headers"))
		return false
	case !validTenant(tenant):
		c.deadLetter(d, ReasonBadTenant, fmt.Errorf("the tenant's name has %d bytes; it must have at most %d, be valid UTF-8 and hold no control characters", len(tenant), maxTenantBytes))
		return false
	}
	d.msg.Tenant = tenant
	if d.route = c.mux.match(d.msg.Subject); d.route == nil {
		c.deadLetter(d, ReasonNoRoute, fmt.Errorf("no route takes the subject %q", d.msg.Subject))
		return false
	}
	if int64(d.size) > c.cfg.Buffer.Bytes {
		c.deadLetter(d, ReasonTooLarge, fmt.Errorf("the message takes %d bytes of memory, headers included, more than Buffer.Bytes, %d", d.size, c.cfg.Buffer.Bytes))
		return false
	}
	return true
}

// askTenant calls the user's Tenant behind a fence: it runs before a message that ends
// the process can be suspected.
func (c *Consumer) askTenant(d *delivery) (tenant string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("the TenantFunc panicked: %v", v)
		}
	}()
	return c.cfg.Tenant(d.msg.Subject, d.msg.Header), nil
}

// dueNow hands back a copy whose time has not come, until it has.
func (c *Consumer) dueNow(d *delivery, header nats.Header, now time.Time) bool {
	if d.lane.kind != LaneRetry {
		return true
	}
	wait := envelope.NotBefore(header).Sub(now)
	if wait <= 0 {
		return true
	}
	c.handBack(d, wait, OutcomeHandBack)
	return false
}

// judge sends a message that was delivered again and again to the suspect lane, and
// one that was so in the suspect lane to the dead letters. A copy in the retry lane
// is delivered once more than others, before its time.
func (c *Consumer) judge(d *delivery, meta ackMeta) bool {
	if d.lane.kind == LaneSuspect {
		if meta.deliveries < strikes {
			return true
		}
		c.deadLetter(d, ReasonCrash, fmt.Errorf("delivered %d times as a suspect: each time before this one the process ended without an outcome", meta.deliveries))
		return false
	}
	if meta.deliveries <= d.lane.innocent() {
		return true
	}
	if !c.movable(d) {
		if d.msg.Attempt <= c.live.Load().Retry.MaxAttempts {
			return true
		}
		c.deadLetter(d, ReasonCrash, fmt.Errorf("delivered %d times without an outcome, and too large to be moved to the suspects", meta.deliveries))
		return false
	}
	if c.refusedLately() {
		if d.lane.kind != LaneOverflow && c.spillway.takes(d) {
			return true // a copy that is spilled begins to count anew, too, and is one of the tenant's share
		}
		c.postpone(d, time.Now()) // what was handed back for want of room begins to count anew
		return false
	}
	c.suspect(d)
	return false
}

// innocent is how many deliveries a message of the lane may have and not be suspected.
// A copy in the retry lane is delivered once more than others, before its time.
func (l *lane) innocent() int {
	if l.kind == LaneRetry {
		return suspicious + 1
	}
	return suspicious
}

// refusedLately reports whether a copy was refused in the last hour: many deliveries
// say nothing of a message then.
func (c *Consumer) refusedLately() bool {
	return time.Now().UnixNano()-c.lastRefusal.Load() < int64(time.Hour)
}
