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
	lost     int // moved, and nobody knows where to

	// What overtook the confirmation of its message, or the copy that it confirms: they come
	// from another part of the server, or by another way through a cluster.
	earlyEnds   early[place, ending]
	earlyCopies early[string, place] // by the reply subject of the copy
}

func newFlights() flights {
	return flights{
		byReply: make(map[string]*flight), byOrigin: make(map[place]*flight), byPlace: make(map[place]*flight),
		earlyEnds: newEarly[place, ending](), earlyCopies: newEarly[string, place](),
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

// store says where f is now. It returns true, and what it was, if f has come to an end
// there before this was known.
func (s *flights) store(f *flight, at place) (ending, bool) {
	if f.origin.stream == "" {
		f.origin = at
		s.byOrigin[at] = f
	}
	f.at = at
	s.byPlace[at] = f
	end, over := s.earlyEnds.take(at)
	switch {
	case over && end.reply != "":
		return s.move(f, end.reply)
	case over:
		s.forget(f)
	}
	return end, over
}

// move says that f was copied, which is confirmed at reply. It returns as store does.
func (s *flights) move(f *flight, reply string) (ending, bool) {
	delete(s.byPlace, f.at)
	delete(s.byReply, f.reply)
	f.at, f.reply = place{}, ""
	if at, confirmed := s.earlyCopies.take(reply); confirmed {
		return s.store(f, at)
	}
	f.reply = reply
	s.byReply[reply] = f
	return ending{}, false
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

// maxEarly bounds what is kept of messages whose confirmation is on its way, and may be of
// those of others.
const maxEarly = 1 << 14

// An ending is how and when a message ended: its handler did, or a worker moved it.
type ending struct {
	at    time.Time
	err   error
	reply string // where the confirmation of its copy will come; "" if that is not awaited
}

// Early holds the last that was heard of what nobody knows yet.
type early[K comparable, V any] struct {
	values map[K]V
	ring   []K
	next   int
}

func newEarly[K comparable, V any]() early[K, V] { return early[K, V]{values: make(map[K]V)} }

// put does not change what is known: the ack that follows a move means nothing.
func (e *early[K, V]) put(key K, value V) {
	if _, known := e.values[key]; known {
		return
	}
	if len(e.ring) < maxEarly {
		e.ring = append(e.ring, key)
	} else {
		delete(e.values, e.ring[e.next])
		e.ring[e.next] = key
		e.next = (e.next + 1) % maxEarly
	}
	e.values[key] = value
}

func (e *early[K, V]) take(key K) (V, bool) {
	value, ok := e.values[key]
	delete(e.values, key)
	return value, ok
}
