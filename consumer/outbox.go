package consumer

import (
	"context"
	"errors"
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
	lane    *lane         // of verbResume and verbForgo
}

// A verb is what a note tells.
type verb uint8

const (
	verbNothing verb = iota // the server finds out when AckWait is over
	verbAck
	verbNak
	verbTerm   // the server forgets it
	verbExtend // the delivery is kept: no settlement
	verbTold   // no delivery at all: everything before it has been told
	verbResume // the lane has its consumer again: what was kept for it can be told
	verbForgo  // the lane has another consumer: what was kept is not for that
)

func (n *note) settles() bool { return n.verb <= verbTerm }

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
// that was published. That is also so for what is kept while a lane has lost its consumer:
// a leader change looks like that, and a settlement that was thrown away would make the
// message run again.
//
// While many notes come it gathers them for a millisecond: on the server an ack and a
// delivery of one consumer wait for each other, so that acks cost both less in bursts
// between the deliveries than one by one among them. What comes now and then is told at once.
//
// mu guards the fields below it.
type outbox struct {
	wake chan struct{} // one place

	mu      sync.Mutex
	waiting []note
	enough  int  // notes that wake who takes them; 1 unless it gathers
	closed  bool // nobody takes notes any more
}

// The bounds of gathering notes.
const (
	gatherFrom = 64               // notes told at once, after which it is worth it
	gatherMost = 1024             // and a quarter of the buffer
	gatherFor  = time.Millisecond // at most
)

var errOutboxClosed = errors.New("consumer: drained")

func newOutbox() outbox { return outbox{wake: make(chan struct{}, 1), enough: 1} }

// put adds notes. It returns false if nobody takes them any more.
func (o *outbox) put(notes ...note) bool {
	o.mu.Lock()
	if o.closed {
		o.mu.Unlock()
		return false
	}
	before := len(o.waiting)
	o.waiting = append(o.waiting, notes...)
	rouse := before < o.enough && len(o.waiting) >= o.enough
	o.mu.Unlock()
	if rouse {
		o.rouse()
	}
	return true
}

// hurry ends a gathering: somebody waits for what the notes release.
func (o *outbox) hurry() {
	o.mu.Lock()
	gathers := o.enough > 1
	o.mu.Unlock()
	if gathers {
		o.rouse()
	}
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
	o.enough = 1
	return notes, o.closed
}

// gather waits until so many notes are there, or until timer fires gatherFor from now; and
// not while they are wanted.
func (o *outbox) gather(enough int, wanted func() bool, timer *time.Timer) {
	o.mu.Lock()
	if o.closed || len(o.waiting) >= enough {
		o.mu.Unlock()
		return
	}
	select {
	case <-o.wake: // for what was taken since
	default:
	}
	o.enough = enough
	o.mu.Unlock()
	if wanted() { // after enough was set: who wants them from now on sees that
		return
	}
	timer.Reset(gatherFor)
	defer timer.Stop()
	select {
	case <-o.wake:
	case <-timer.C:
	}
}

// close refuses further notes; what was put in is still told.
func (o *outbox) close() {
	o.mu.Lock()
	o.closed = true
	o.mu.Unlock()
	o.rouse()
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
