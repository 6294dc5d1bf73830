package consumer

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync"
	"time"
)

// A note is one thing to tell the server about a delivery.
type note struct {
	d       *delivery
	verb    verb
	outcome Outcome       // of a settlement
	delay   time.Duration // of verbNak
	lease   lease         // of a settlement, as it was when the delivery was let go
	receipt *receipt      // of verbExtend and verbTold
}

// A verb is what a note tells.
type verb uint8

const (
	verbNothing verb = iota // the server finds out when AckWait is over
	verbAck
	verbNak
	verbExtend // the delivery is kept: no settlement
	verbTold   // no delivery at all: everything before it has been told
)

// A receipt is for who waits until notes have been published.
type receipt struct {
	err  error // of the first that was not
	done chan struct{}
}

// outbox is how workers and lanes tell the server what becomes of deliveries: they put
// notes in, and one goroutine of Run publishes them in that order. So a worker never
// waits for a connection that is slow, an extension is never sent behind the hand-back
// that it would undo, and the locks of the connection and of the leases are taken by one
// goroutine, which finds some tens of notes at a time when it matters.
//
// It needs no bound of its own: each delivery has one settlement, and counts as held until
// that was published.
//
// mu guards the fields below it.
type outbox struct {
	wake    chan struct{} // one place
	scratch []byte        // of the goroutine

	mu      sync.Mutex
	waiting []note
	closed  bool // nobody takes notes any more
}

var errOutboxClosed = errors.New("consumer: drained")

func newOutbox() outbox { return outbox{wake: make(chan struct{}, 1)} }

// put adds notes. It returns false if nobody takes them any more.
func (o *outbox) put(notes ...note) bool {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return false
	}
	first := len(o.waiting) == 0
	o.waiting = append(o.waiting, notes...)
	o.mu.Unlock()
	if first {
		o.rouse()
	}
	return true
}

func (o *outbox) rouse() {
	select {
	case o.wake <- struct{}{}:
	default:
	}
}

// take returns what was put in, and leaves room for more.
func (o *outbox) take(room []note) (notes []note, closed bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	notes, o.waiting = o.waiting, room[:0]
	return notes, o.closed
}

// close refuses further notes; what was put in is still told.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.rouse()
}

// post tells the server what is put into the outbox, until that is closed and empty.
// Before it goes to sleep it lets others run once: what they bring costs no wake-up.
func (c *Consumer) post() {
	var notes []note
	for lingered := false; ; {
		var closed bool
		notes, closed = c.outbox.take(notes)
		switch {
		case len(notes) > 0:
			c.tell(notes)
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

// tell publishes notes and lets go of the deliveries that they settle.
func (c *Consumer) tell(notes []note) {
	c.leases.settle(notes, time.Now())
	connected := c.nc.IsConnected()
	for i := range notes {
		switch n := &notes[i]; n.verb {
		case verbTold:
			close(n.receipt.done)
		case verbExtend:
			c.extend(n)
		default:
			c.send(n, connected)
			c.count(n)
		}
	}
	c.letGo(notes)
}

// send publishes a settlement, if there is anything to publish.
func (c *Consumer) send(n *note, connected bool) {
	d := n.d
	if n.verb != verbAck && n.lease.lost {
		// Somebody else may have the message: a nak now would make the server deliver
		// it a third time.
		n.verb, n.outcome = verbNothing, OutcomeLeaseLost
	}
	if n.verb == verbNak && !connected {
		n.verb = verbNothing // it would be sent at the reconnect, when the same holds
	}
	if n.lease.void || d.lane.suspended.Load() {
		n.verb = verbNothing // the sequence may be another message's
	}
	if n.verb == verbNothing {
		return
	}
	wire := wireAck
	if n.verb == verbNak {
		c.outbox.scratch = appendNak(c.outbox.scratch[:0], n.delay)
		wire = c.outbox.scratch // Publish copies it
	}
	if err := c.nc.Publish(n.lease.reply, wire); err != nil {
		c.logs.settle.warn("a settlement could not be sent; the message will be delivered again",
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

func (n *note) settles() bool { return n.verb <= verbNak }

// What a delivery's ack subject understands.
var (
	wireAck        = []byte("+ACK")
	wireInProgress = []byte("+WPI")
)

// appendNak is a hand-back for at least delay. The delay is always sent: a bare nak is
// delivered again before anything new, and starves the rest.
func appendNak(b []byte, delay time.Duration) []byte {
	b = append(b, `-NAK {"delay":`...)
	b = strconv.AppendInt(b, int64(max(delay, time.Millisecond)), 10)
	return append(b, '}')
}

// extendAll publishes extensions, and returns nil when the server has them all.
func (c *Consumer) extendAll(ctx context.Context, extensions []note) error {
	r := &receipt{done: make(chan struct{})}
	for i := range extensions {
		extensions[i].receipt = r
	}
	if !c.outbox.put(append(extensions, note{verb: verbTold, receipt: r})...) {
		return errOutboxClosed
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		return ctx.Err()
	}
	return errors.Join(r.err, c.nc.FlushWithContext(ctx))
}
