package consumer

import (
	"strconv"
	"time"
)

// What a delivery's ack subject understands.
var (
	wireAck        = []byte("+ACK")
	wireInProgress = []byte("+WPI")
)

// handBackDelay is how long a message that is handed back stays away: long enough
// that it does not come back to a process that is going, and that a message which
// nobody can take does not go round in a hot loop.
const handBackDelay = 100 * time.Millisecond

// wireNak hands a message back for at least delay. The delay is always sent: a bare
// nak is delivered again before anything new, and starves the rest.
func wireNak(delay time.Duration) []byte {
	b := append(make([]byte, 0, 40), `-NAK {"delay":`...)
	b = strconv.AppendInt(b, int64(max(delay, time.Millisecond)), 10)
	return append(b, '}')
}

// ack settles d as done. It is sent even when the lease was lost: what was handled
// should not be handled again.
func (c *Consumer) ack(d *delivery, outcome Outcome) { c.settle(d, outcome, wireAck, true) }

// handBack settles d by giving it back for at least delay. If the lease was lost,
// somebody else may have the message, and nothing is sent: a nak now would make the
// server deliver it a third time.
func (c *Consumer) handBack(d *delivery, delay time.Duration, outcome Outcome) {
	c.settle(d, outcome, wireNak(delay), false)
}

// abandon settles d by sending nothing: the server delivers it again when AckWait
// is over, if it has not already.
func (c *Consumer) abandon(d *delivery, outcome Outcome) { c.settle(d, outcome, nil, false) }

// settle is the one place where a delivery ends. The first call for a delivery
// counts.
func (c *Consumer) settle(d *delivery, outcome Outcome, wire []byte, evenLost bool) {
	if !d.settled.CompareAndSwap(false, true) {
		return
	}
	var now time.Time // an ack is sent whatever became of the lease
	if !evenLost {
		now = time.Now()
	}
	lease := c.leases.remove(d, now)
	if lease.lost && !evenLost {
		wire, outcome = nil, OutcomeLeaseLost
	}
	if !evenLost && !c.nc.IsConnected() {
		wire = nil // it would be sent at the reconnect, when the message may be somebody else's
	}
	if wire != nil && !lease.void && !d.lane.suspended.Load() {
		if err := c.nc.Publish(lease.reply, wire); err != nil {
			c.logs.settle.warn("a settlement could not be sent; the message will be delivered again",
				"lane", d.lane.kind, "sequence", d.source.sequence, "outcome", outcome, "error", err)
		}
		if evenLost { // an ack
			d.lane.state.ackPending.Add(-1)
		}
	}
	if d.route != nil {
		d.route.state.settled.add(outcome)
	} else {
		c.downstreams.get("").settled.add(outcome)
	}
	c.observers.settled(Settled{Tenant: d.msg.Tenant, Downstream: d.downstream(), Lane: d.lane.kind, Outcome: outcome})
	c.held.Done()
	d.lane.budget.release(1, int64(d.size)) // last: what it lets in comes on top of what is held
}
