package load

import (
	"maps"
	"slices"
	"time"
)

// A place is where a message is stored.
type place struct {
	stream string
	seq    uint64
}

// A flight is a message on its way to the end of its handler.
type flight struct {
	call   *Call
	reply  string // where its confirmation, or that of its last copy, will come; "" if it came
	origin place  // of the message that was published
	at     place  // of the message whose ack is the end: that, or its last copy
}

// Flights are the messages on their way. They are found by the confirmation that they
// await, by where they were first stored, and by where they are.
type flights struct {
	byReply  map[string]*flight
	byOrigin map[place]*flight
	byPlace  map[place]*flight
	early    early
	lost     int // moved, and nobody knows where to
}

func newFlights() flights {
	return flights{
		byReply: make(map[string]*flight), byOrigin: make(map[place]*flight), byPlace: make(map[place]*flight),
		early: early{ends: make(map[place]ending)},
	}
}

func (s *flights) publish(reply string, c *Call) {
	s.byReply[reply] = &flight{call: c, reply: reply}
}

// answered returns the flight that awaits a confirmation at reply; nil if none does.
func (s *flights) answered(reply string) *flight {
	f := s.byReply[reply]
	if f != nil {
		delete(s.byReply, reply)
		f.reply = ""
	}
	return f
}

// store says where f is now. It returns true if that was acknowledged before this was
// known.
func (s *flights) store(f *flight, at place) (ending, bool) {
	if f.origin.stream == "" {
		f.origin = at
		s.byOrigin[at] = f
	}
	f.at = at
	s.byPlace[at] = f
	return s.early.take(at)
}

// move says that f was copied, which will be confirmed at reply.
func (s *flights) move(f *flight, reply string) {
	delete(s.byPlace, f.at)
	delete(s.byReply, f.reply)
	f.at, f.reply = place{}, reply
	s.byReply[reply] = f
}

// forget is for what has ended.
func (s *flights) forget(f *flight) {
	if f.origin.stream != "" && f.reply != "" && f.at.stream == "" {
		s.lost++ // it was moved, and its confirmation never came
	}
	delete(s.byReply, f.reply)
	delete(s.byOrigin, f.origin)
	delete(s.byPlace, f.at)
}

// all returns the flights. Each is awaited at a reply or is at a place.
func (s *flights) all() []*flight {
	return slices.AppendSeq(slices.Collect(maps.Values(s.byReply)), maps.Values(s.byPlace))
}

// maxEarly bounds the acks that are kept for messages whose confirmation is on its way,
// and may be those of others.
const maxEarly = 1 << 14

// An ending is how and when the handler of a message ended.
type ending struct {
	at  time.Time
	err error
}

// Early holds the last acks of messages that nobody knows: an ack may overtake the
// confirmation of its message.
type early struct {
	ends map[place]ending
	ring []place
	next int
}

func (e *early) put(at place, end ending) {
	if len(e.ring) < maxEarly {
		e.ring = append(e.ring, at)
	} else {
		delete(e.ends, e.ring[e.next])
		e.ring[e.next] = at
		e.next = (e.next + 1) % maxEarly
	}
	e.ends[at] = end
}

func (e *early) take(at place) (ending, bool) {
	end, ok := e.ends[at]
	delete(e.ends, at)
	return end, ok
}
