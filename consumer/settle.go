package consumer

import "time"

// handBackDelay is how long a message that is handed back stays away: long enough
// that it does not come back to a process that is going, and that a message which
// nobody can take does not go round in a hot loop.
const handBackDelay = 100 * time.Millisecond

// ack settles d as done. It is sent even when the lease was lost: what was handled
// should not be handled again.
func (c *Consumer) ack(d *delivery, outcome Outcome) {
	c.settle(note{d: d, verb: verbAck, outcome: outcome})
}

// handBack settles d by giving it back for at least delay. If the lease was lost,
// somebody else may have the message, and nothing is sent: a nak now would make the
// server deliver it a third time.
func (c *Consumer) handBack(d *delivery, delay time.Duration, outcome Outcome) {
	c.settle(note{d: d, verb: verbNak, outcome: outcome, delay: delay})
}

// abandon settles d by sending nothing: the server delivers it again when AckWait
// is over, if it has not already.
func (c *Consumer) abandon(d *delivery, outcome Outcome) {
	c.settle(note{d: d, verb: verbNothing, outcome: outcome})
}

// drop settles d by having the server forget it, as its tenant's policy says.
func (c *Consumer) drop(d *delivery) { c.settle(note{d: d, verb: verbTerm, outcome: OutcomeDrop}) }

// settle is the one place where a delivery ends. The first call for a delivery counts.
func (c *Consumer) settle(n note) {
	if !n.d.settled.CompareAndSwap(false, true) {
		return
	}
	if n.d.lane.flow != nil && (n.verb == verbAck || n.verb == verbTerm) {
		c.spillway.leave(n.d.lane.flow)
	}
	if !c.outbox.put(n) { // a handler that outlived Run
		(&poster{Consumer: c}).tell([]note{n})
	}
}
