package consumer

import (
	"runtime"
	"slices"
	"strconv"
	"time"
)

// poster tells the server what notes say. It belongs to one goroutine.
type poster struct {
	*Consumer
	scratch []byte // for what is published
	kept    []note // settlements of lanes that await their repair
}

// post tells the server what is put into the outbox, until that is closed and empty.
// Before it goes to sleep it lets others run once: what they bring costs no wake-up.
func (c *Consumer) post() {
	p := poster{Consumer: c}
	timer := time.NewTimer(gatherFor)
	timer.Stop()
	var notes []note
	for lingered := false; ; {
		var closed bool
		notes, closed = c.outbox.take(notes)
		switch {
		case len(notes) > 0:
			p.tell(notes)
			if len(notes) >= gatherFrom {
				c.outbox.gather(min(gatherMost, c.cfg.Buffer.Messages/4), c.wanted, timer)
			}
			clear(notes)
			lingered = false
		case closed:
			return
		case !lingered:
			runtime.Gosched()
			lingered = true
		default:
			<-c.outbox.wake
			lingered = false
		}
	}
}

// wanted reports whether a lane waits for what settlements release.
func (c *Consumer) wanted() bool { return c.shared.wanted() || c.spillBudget.wanted() }

// tell publishes notes and lets go of the deliveries that they settle.
func (p *poster) tell(notes []note) {
	notes = p.keep(notes)
	p.leases.settle(notes, time.Now())
	connected := p.nc.IsConnected()
	for i := range notes {
		switch n := &notes[i]; n.verb {
		case verbTold:
			close(n.receipt.done)
		case verbExtend:
			p.extend(n)
		case verbResume, verbForgo:
			p.tellKept(n.lane, n.verb)
		default:
			p.send(n, connected)
			p.count(n)
		}
	}
	p.letGo(notes)
}

// keep takes out of notes what cannot be told yet, and returns the rest. The deliveries
// stay held.
func (p *poster) keep(notes []note) []note {
	first := slices.IndexFunc(notes, mustWait)
	if first < 0 {
		return notes
	}
	rest := notes[:first]
	for _, n := range notes[first:] {
		if mustWait(n) {
			p.kept = append(p.kept, n)
		} else {
			rest = append(rest, n)
		}
	}
	return rest
}

// mustWait reports whether n settles a delivery of a lane that has lost its consumer: if
// it is another that has the name next, the sequence may be another message's there.
func mustWait(n note) bool { return n.settles() && n.d.lane.suspended.Load() }

// tellKept tells what was kept for l. The leases say whether the message still is the one
// that was delivered, and whether it may still be handed back.
func (p *poster) tellKept(l *lane, decision verb) {
	var due []note
	p.kept = slices.DeleteFunc(p.kept, func(n note) bool {
		if n.d.lane != l {
			return false
		}
		if decision == verbForgo {
			n.verb = verbNothing
		}
		due = append(due, n)
		return true
	})
	if len(due) > 0 {
		p.tell(due)
	}
}

// send publishes a settlement, if there is anything to publish.
func (p *poster) send(n *note, connected bool) {
	d := n.d
	if n.verb != verbAck && n.lease.lost {
		// Somebody else may have the message: a nak now would make the server deliver
		// it a third time.
		n.verb, n.outcome = verbNothing, OutcomeLeaseLost
	}
	if n.verb != verbAck && !connected {
		n.verb = verbNothing // it would be sent at the reconnect, when the same holds
	}
	if n.lease.void {
		n.verb = verbNothing // the sequence may be another message's
	}
	if n.verb == verbNothing {
		return
	}
	wire := wireAck
	switch n.verb {
	case verbTerm:
		wire = wireTerm
	case verbNak:
		p.scratch = appendNak(p.scratch[:0], n.delay)
		wire = p.scratch // Publish copies it
	}
	if err := p.nc.Publish(n.lease.reply, wire); err != nil {
		p.logs.settle.warn("a settlement could not be sent; the message will be delivered again",
			"lane", d.lane.kind, "sequence", d.source.sequence, "outcome", n.outcome, "error", err)
	}
}

// extend tells the server that a delivery is still being worked on. If that was settled
// meanwhile, the extension would take its delay back.
func (c *Consumer) extend(n *note) {
	if n.d.settled.Load() {
		return
	}
	if err := c.nc.Publish(n.lease.reply, wireInProgress); err != nil && n.receipt.err == nil {
		n.receipt.err = err
	}
}

func (c *Consumer) count(n *note) {
	d := n.d
	if d.route != nil {
		d.route.state.settled.add(n.outcome)
	} else {
		c.unrouted.add(n.outcome)
	}
	c.observers.settled(Settled{Tenant: d.msg.Tenant, Downstream: d.downstream(), Lane: d.lane.kind, Outcome: n.outcome})
}

// letGo takes the deliveries that were settled out of what is held, those of one lane
// at once. What it lets in comes on top of what is held, so it is last.
func (c *Consumer) letGo(notes []note) {
	for len(notes) > 0 {
		if !notes[0].settles() {
			notes = notes[1:]
			continue
		}
		l := notes[0].d.lane
		var messages, acks int64
		var bytes int64
		for len(notes) > 0 && notes[0].settles() && notes[0].d.lane == l {
			messages++
			bytes += int64(notes[0].d.size)
			if notes[0].verb == verbAck {
				acks++
			}
			notes = notes[1:]
		}
		l.state.ackPending.Add(-acks)
		c.held.sub(messages)
		l.budget.release(messages, bytes)
	}
}

// What a delivery's ack subject understands.
var (
	wireAck        = []byte("+ACK")
	wireInProgress = []byte("+WPI")
	wireTerm       = []byte("+TERM")
)

// appendNak is a hand-back for at least delay. The delay is always sent: a bare nak is
// delivered again before anything new, and starves the rest.
func appendNak(b []byte, delay time.Duration) []byte {
	b = append(b, `-NAK {"delay":`...)
	b = strconv.AppendInt(b, int64(max(delay, time.Millisecond)), 10)
	return append(b, '}')
}
