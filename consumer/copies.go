package consumer

import (
	"sync/atomic"
	"time"
)

// copies are the copies that this process holds of messages of the main lane's stream, by
// the sequence of those. A message and its copy are one and the same to a handler, and both
// can be here: a move whose ack the server never had, since the connection or the consumer
// was lost just then, leaves the message where it was, and it is delivered again.
//
// It is guarded by leases.mu, but for held.
type copies struct {
	byOrigin map[uint64]*delivery
	held     atomic.Int64 // len(byOrigin)
}

func (cs *copies) insert(d *delivery) {
	if d.copyOf == (source{}) {
		return
	}
	if cs.byOrigin == nil {
		cs.byOrigin = make(map[uint64]*delivery)
	}
	d.sibling = cs.byOrigin[d.copyOf.sequence]
	cs.byOrigin[d.copyOf.sequence] = d
	cs.held.Store(int64(len(cs.byOrigin)))
}

// remove takes d out, if it is in.
func (cs *copies) remove(d *delivery) {
	if d.copyOf == (source{}) {
		return
	}
	first := cs.byOrigin[d.copyOf.sequence]
	last := &first
	for ; *last != d; last = &(*last).sibling {
		if *last == nil {
			return
		}
	}
	*last, d.sibling = d.sibling, nil
	if first != nil {
		cs.byOrigin[d.copyOf.sequence] = first
	} else {
		delete(cs.byOrigin, d.copyOf.sequence)
	}
	cs.held.Store(int64(len(cs.byOrigin)))
}

// of yields the copies of one message.
func (cs *copies) of(message source) func(yield func(*delivery) bool) {
	return func(yield func(*delivery) bool) {
		for d := cs.byOrigin[message.sequence]; d != nil; d = d.sibling {
			if d.copyOf == message && !yield(d) {
				return
			}
		}
	}
}

// moved returns a copy of d that this process holds, or nil.
func (ls *leases) moved(d *delivery) (to *delivery) {
	if d.lane.kind != LaneMain || ls.copies.held.Load() == 0 {
		return nil
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for c := range ls.copies.of(d.source) {
		return c
	}
	return nil
}

// runsAlready reports whether the message that d is a copy of, or another copy of it, runs.
// If so, d counts as running no more: of two that begin at once, one goes on.
func (ls *leases) runsAlready(d *delivery) bool {
	if d.copyOf == (source{}) {
		return false
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	original := ls.lanes[0].held.find(d.copyOf.sequence)
	runs := original != nil && original.source == d.copyOf && original.started.Load() != 0
	for c := range ls.copies.of(d.copyOf) {
		runs = runs || c != d && c.started.Load() != 0
	}
	if runs {
		d.started.Store(0)
	}
	return runs
}

// aloneAgain is how long a copy waits before it looks again whether it would run alone.
const aloneAgain = 100 * time.Millisecond

// movedBy is how a message was settled whose copy came on l.
func (l Lane) movedBy() Outcome {
	switch l {
	case LaneSuspect:
		return OutcomeSuspect
	case LaneOverflow:
		return OutcomeSpill
	default:
		return OutcomeRetry
	}
}
