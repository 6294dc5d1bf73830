package consumer

import (
	"iter"
	"sync/atomic"
	"time"
)

// copies are the copies that this process holds of messages of the main lane's stream. A
// message and its copy are one and the same to a handler, and both can be here: a move whose
// ack the server never had, since the connection or the consumer was lost just then, leaves
// the message where it was, and it is delivered again.
//
// It is guarded by leases.mu, but for any.
type copies struct {
	origins map[*delivery]source // what each is a copy of
	of      map[source]*delivery // one copy of each; there is hardly ever another
	any     atomic.Bool
}

func newCopies() copies {
	return copies{origins: make(map[*delivery]source), of: make(map[source]*delivery)}
}

// insert takes d in, if it is a copy of a message of stream.
func (cs *copies) insert(d *delivery, stream string) {
	if d.lane.kind == LaneMain || d.msg.Stream != stream {
		return
	}
	origin := source{sequence: d.msg.Sequence, nanos: d.msg.Published.UnixNano()}
	cs.origins[d] = origin
	if cs.of[origin] == nil {
		cs.of[origin] = d
	}
	cs.any.Store(true)
}

// remove takes d out, if it is in.
func (cs *copies) remove(d *delivery) {
	origin, in := cs.origins[d]
	if !in {
		return
	}
	delete(cs.origins, d)
	if cs.of[origin] == d {
		delete(cs.of, origin)
		for other := range cs.others(d, origin) {
			cs.of[origin] = other
			break
		}
	}
	cs.any.Store(len(cs.origins) > 0)
}

// others yields the copies of origin but d.
func (cs *copies) others(d *delivery, origin source) iter.Seq[*delivery] {
	return func(yield func(*delivery) bool) {
		if first := cs.of[origin]; first != nil && first != d && !yield(first) || len(cs.origins) == len(cs.of) {
			return
		}
		for other, o := range cs.origins {
			if o == origin && other != d && other != cs.of[origin] && !yield(other) {
				return
			}
		}
	}
}

// moved returns a copy of d that this process holds, or nil.
func (ls *leases) moved(d *delivery) (to *delivery) {
	if d.lane.kind != LaneMain || !ls.copies.any.Load() {
		return nil
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return ls.copies.of[d.source]
}

// runsAlready reports whether the message that d is a copy of, or another copy of it, runs.
// If so, d counts as running no more: of two that begin at once, one goes on.
func (ls *leases) runsAlready(d *delivery) bool {
	if d.lane.kind == LaneMain {
		return false
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	origin, copied := ls.copies.origins[d]
	if !copied {
		return false
	}
	original := ls.lanes[0].held.find(origin.sequence)
	runs := original != nil && original.source == origin && original.started.Load() != 0
	for other := range ls.copies.others(d, origin) {
		runs = runs || other.started.Load() != 0
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
