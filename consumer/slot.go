package consumer

import (
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
)

// slot is one subscription with at most one pull request in flight on it, so that
// each message and each status is known to belong to that request.
type slot struct {
	sub      *nats.Subscription
	inbox    string // ends in a dot; a request's inbox is inbox and its number
	number   uint64
	batch    int   // asked for
	messages int   // asked for and not received; 0: no request in flight
	bytes    int64 // reserved and not received
	sentAt   time.Time
	alive    time.Time // last sign of the request
	expires  time.Duration
	asked    uint64 // copies of the flow that were confirmed when it was sent
}

// droppedSlot is a slot whose subscription was ended, to cancel its request. What
// was on its way still arrives, until the marker that was sent after the end.
type droppedSlot struct {
	slot
	marker uint64
	since  time.Time
}

func (s *slot) open(l *lane) error {
	*s = slot{inbox: l.nc.NewInbox() + "."}
	sub, err := l.nc.ChanSubscribe(s.inbox+"*", l.in)
	if err != nil {
		return fmt.Errorf("consumer: lane %s: subscribe: %w", l.kind, err)
	}
	s.sub = sub
	return nil
}

func (l *lane) slotOf(sub *nats.Subscription) *slot {
	for i := range l.slots {
		if l.slots[i].sub == sub {
			return &l.slots[i]
		}
	}
	for i := range l.dropped {
		if l.dropped[i].sub == sub {
			return &l.dropped[i].slot
		}
	}
	return nil
}

// arrive counts a message of size bytes against the request of s: what was reserved
// for it is held now.
func (l *lane) arrive(s *slot, size int64) {
	if s.messages == 0 { // more than was asked for: it is held all the same
		l.budget.reserve(1, size)
		return
	}
	s.messages--
	l.state.requested.Add(-1)
	if s.bytes < size { // a request without max_bytes
		l.budget.reserve(0, size-s.bytes)
		s.bytes = size
	}
	s.bytes -= size
	if s.messages == 0 || s.bytes == 0 { // the server says nothing when the bytes are used up to the last
		l.over(s)
	}
}

// over ends the request of s and gives back what it reserved and did not get.
func (l *lane) over(s *slot) {
	l.budget.release(int64(s.messages), s.bytes)
	l.state.requested.Add(-int64(s.messages))
	s.messages, s.bytes = 0, 0
}

// drop cancels the request of s, which can only be done by ending the interest in
// its inbox, and opens another in its place.
func (l *lane) drop(s *slot, now time.Time) {
	old := *s
	if err := s.open(l); err != nil {
		l.fail(err.Error(), now) // the connection is closed
		return
	}
	l.cancel(&old, now)
}

// cancel ends the interest of s. What is on its way still arrives, and stays counted,
// until the marker: a message to ourselves that the server sees after the end of the
// interest. Without a connection nothing is on its way, and the server is never told
// of the subscription again.
func (l *lane) cancel(s *slot, now time.Time) {
	if s.messages == 0 || !l.nc.IsConnected() {
		_ = s.sub.Unsubscribe()
		l.over(s)
		return
	}
	_ = s.sub.Drain()
	l.marked++
	l.dropped = append(l.dropped, droppedSlot{slot: *s, marker: l.marked, since: now})
	l.mark(l.marked)
}

func (l *lane) mark(n uint64) {
	_ = l.nc.Publish(l.marks+strconv.FormatUint(n, 10), nil)
}

// forget ends the dropped slots up to the marker of subject.
func (l *lane) forget(subject string) {
	n, err := strconv.ParseUint(subject[len(l.marks):], 10, 64)
	if err != nil {
		return
	}
	kept := l.dropped[:0]
	for i := range l.dropped {
		d := &l.dropped[i]
		if d.marker > n {
			kept = append(kept, *d)
			continue
		}
		l.over(&d.slot)
		_ = d.sub.Unsubscribe()
	}
	clear(l.dropped[len(kept):])
	l.dropped = kept
}
