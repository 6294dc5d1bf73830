package flow

import "sync/atomic"

// A gate is how submitting and closing meet without a lock: submitters count themselves
// in, and out by what became of them, and after close the last one out calls onEmpty. What
// it counts is statistics that are wanted anyway.
//
// close sets closed before it looks whether anybody is inside, and a submitter counts
// itself out before it looks whether the gate is closed: one of the two sees the other.
// Whoever comes in after close finds it closed, and sends nothing.
type gate struct {
	submitted atomic.Uint64 // in
	atOnce    atomic.Uint64 // out: accepted without waiting
	late      atomic.Uint64 // out: accepted after waiting
	rejected  atomic.Uint64 // out: refused
	cancelled atomic.Uint64 // out: its context ended before there was room

	closed  atomic.Bool
	sealed  atomic.Bool   // closed, and nobody who came before is inside
	closing chan struct{} // closed with the gate, for those who wait
	onEmpty func()        // called once, when sealed
}

// enter returns false if the gate is closed. In either case leave must follow.
func (g *gate) enter() (open bool) {
	g.submitted.Add(1)
	return !g.closed.Load()
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
