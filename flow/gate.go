package flow

import "sync/atomic"

// A gate is how submitting and closing meet without a lock: submitters count themselves
// in, and out by what became of them, and after close the last one out calls onEmpty. What
// it counts is statistics that are wanted anyway.
//
// close sets closed before it looks whether anybody is inside, and a submitter counts
// itself out before it looks whether the gate is closed: one of the two sees the other.
// Whoever comes in after close finds it closed, and sends nothing. Who finds it closed
// before that does not even come in: however many go on asking, those inside get fewer.
type gate struct {
	closed  atomic.Bool
	sealed  atomic.Bool   // closed, and nobody who came before is inside
	closing chan struct{} // closed with the gate, for those who wait
	onEmpty func()        // called once, when sealed

	_         [64]byte      // all submitters read what is above, and write what is below
	turned    atomic.Uint64 // did not come in: the gate was closed
	submitted atomic.Uint64 // in
	atOnce    atomic.Uint64 // out: accepted without waiting
	late      atomic.Uint64 // out: accepted after waiting
	rejected  atomic.Uint64 // out: refused
	cancelled atomic.Uint64 // out: its context ended before there was room
}

// enter returns true if the gate is open, and leave must follow. If not, the submit has
// been counted as rejected.
func (g *gate) enter() (open bool) {
	if g.closed.Load() {
		g.turned.Add(1)
		return false
	}
	g.submitted.Add(1)
	if g.closed.Load() { // in between
		g.leave(&g.rejected)
		return false
	}
	return true
}

// leave counts what became of a submit, in a counter of g.
func (g *gate) leave(outcome *atomic.Uint64) {
	outcome.Add(1)
	if g.closed.Load() {
		g.settle()
	}
}

func (g *gate) close() {
	if g.closed.CompareAndSwap(false, true) {
		close(g.closing)
		g.settle()
	}
}

// settle reads those who left first: if they are as many as had entered when it read
// that, nobody was inside in between.
func (g *gate) settle() {
	left := g.accepted() + g.rejected.Load() + g.cancelled.Load()
	if left == g.submitted.Load() && g.sealed.CompareAndSwap(false, true) {
		g.onEmpty()
	}
}

func (g *gate) accepted() uint64 { return g.atOnce.Load() + g.late.Load() }

// submits are what became of all submits. submitted is read last: it is never less than
// the others together.
type submits struct{ atOnce, accepted, rejected, cancelled, submitted uint64 }

func (g *gate) submits() submits {
	turned, atOnce := g.turned.Load(), g.atOnce.Load()
	s := submits{atOnce: atOnce, accepted: atOnce + g.late.Load(), rejected: turned + g.rejected.Load(), cancelled: g.cancelled.Load()}
	s.submitted = turned + g.submitted.Load()
	return s
}
