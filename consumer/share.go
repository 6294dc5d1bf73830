package consumer

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// A volume is how many bytes there are of copies in the stream of overflow: all of them, or
// those of one tenant. A survey tells what was there, and what this process has sent and
// settled since is known at once; what others do, with the next survey.
type volume struct {
	bytes atomic.Int64 // stored, and on their way

	// Guarded by spillway.mu.
	flying int64 // of bytes: on their way
	asked  int64 // what was stored when the last survey began
}

// depart counts a copy that is sent. It requires that spillway.mu is held.
func (v *volume) depart(size int64) {
	v.bytes.Add(size)
	v.flying += size
}

// arrive counts a copy that was stored, or refused. It requires that spillway.mu is held.
func (v *volume) arrive(size int64, stored bool) {
	v.flying -= size
	if !stored {
		v.bytes.Add(-size)
	}
}

// leave counts a copy that was settled.
func (v *volume) leave(size int64) { v.bytes.Add(-size) }

// ask notes what is counted as stored, for a survey that begins. It requires that
// spillway.mu is held.
func (v *volume) ask() { v.asked = v.bytes.Load() - v.flying }

// correct takes in what was stored when the survey that ask began was answered. It requires
// that spillway.mu is held.
func (v *volume) correct(stored int64) {
	v.bytes.Add(stored - v.asked)
	v.asked = stored
}

// A portion is what one tenant has in its overflows, of all downstreams.
type portion struct {
	volume

	// typical is how many bytes a copy of the tenant takes: of those that this process has
	// stored lately, and before it has, of all in the stream. It changes under spillway.mu.
	typical atomic.Int64

	// Guarded by spillway.mu.
	flows  int    // that it is of
	stored uint64 // copies, as last surveyed
}

// pressedShare is how many times what is free a tenant may have in the overflow while so many
// messages are handed back that they would keep others from being delivered.
const pressedShare = 8

// mayStore decides whether a tenant that has so many bytes in a stream of at most limit, of
// which used are taken, may store a copy of size. It may while it has no more than is free
// after that: one tenant alone takes half, each that comes later half of what is left, and
// those that come together take equal parts, and leave one. When pressed it may have eight
// times as much: alone, eight ninths. A limit of 0 or less is none.
func mayStore(limit, used, has, size int64, pressed bool) bool {
	if limit <= 0 {
		return true
	}
	want := has + size
	if pressed {
		want /= pressedShare
	}
	return want <= limit-used-size
}

// errShareFull is why a copy was not made that the stream may have had room for.
var errShareFull = errors.New("the tenant has its share of the overflow, which is as much as is free of it")

// copyCost is what a copy takes beyond the subject, headers and payload of its original: our
// headers, its own subject and what the server writes beside it, as measured with names of
// a few letters.
const copyCost = 262

// copySize is about how many bytes the copy of d takes in the stream.
func copySize(d *delivery) int64 {
	size := copyCost + len(d.msg.Subject) + len(d.msg.Data)
	if len(d.msg.Header) > 0 {
		size += envelope.CarriedSize(d.msg.Header)
	}
	return int64(size)
}

// portionOf returns the portion of a tenant, by its token, for one more flow. It requires
// that mu is held.
func (s *spillway) portionOf(tenant string) *portion {
	p := s.portions[tenant]
	if p == nil {
		p = new(portion)
		s.portions[tenant] = p
	}
	p.flows++
	return p
}

// forget drops a flow. It requires that mu is held.
func (s *spillway) forget(f *flow) {
	delete(s.flows, f.key)
	if f.rear != nil {
		f.rear.front = nil
	}
	if f.portion.flows--; f.portion.flows == 0 {
		delete(s.portions, f.key.Tenant)
	}
}

// roomFor reports whether the overflow takes copies of ds more, of f. It requires that mu is
// held.
func (s *spillway) roomFor(f *flow, ds ...*delivery) bool {
	if s.limit <= 0 {
		return true
	}
	used, has, size := s.volume.bytes.Load(), f.portion.bytes.Load(), int64(0)
	for _, d := range ds {
		size += copySize(d)
	}
	return mayStore(s.limit, used, has, size, false) || s.c.pressed() && mayStore(s.limit, used, has, size, true)
}

// pressed reports whether as many messages are handed back as may be.
func (c *Consumer) pressed() bool {
	return c.pacer.away(time.Now()) >= int(c.maxAway.Load())
}

// takes reports whether d would go to the overflow of its queue, or be handed back since its
// tenant has its share of that.
func (s *spillway) takes(d *delivery) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	f := s.flows[s.c.flowKeyOf(d)]
	return f != nil && !f.shut && (f.mode != flowCalm || !s.roomFor(f, d))
}

// depart counts copies of f that are about to be sent. It requires that mu is held.
func (s *spillway) depart(f *flow, ds ...*delivery) {
	for _, d := range ds {
		size := copySize(d)
		f.portion.depart(size)
		s.volume.depart(size)
	}
	f.unconfirmed += len(ds)
	f.dry = f.dry && len(ds) == 0
}

// arrive counts a copy of f that was stored, or refused. It requires that mu is held.
func (s *spillway) arrive(f *flow, size int64, stored bool) {
	f.unconfirmed--
	f.portion.arrive(size, stored)
	s.volume.arrive(size, stored)
	if typical := f.portion.typical.Load(); stored && typical > 0 {
		f.portion.typical.Store(typical + (size-typical)/16)
	} else if stored {
		f.portion.typical.Store(size)
	}
}

// leave counts a copy of f that has come back and was settled: the server forgets it.
func (s *spillway) leave(f *flow) {
	size := f.portion.typical.Load()
	f.portion.leave(size)
	s.volume.leave(size)
}

// askVolumes notes what is counted, for a survey that begins.
func (s *spillway) askVolumes() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.volume.ask()
	for _, p := range s.portions {
		p.ask()
	}
}

// correctVolumes takes in what a survey has found, which tells of one tenant only how many
// copies there are. It requires that mu is held.
func (s *spillway) correctVolumes(found spilled) {
	s.limit = found.limit
	s.volume.correct(found.bytes)
	for _, p := range s.portions {
		p.stored = 0
	}
	for _, f := range s.flows {
		f.portion.stored += found.counts[f.subject]
	}
	for _, p := range s.portions {
		if p.typical.Load() == 0 && found.messages > 0 {
			p.typical.Store(found.bytes / int64(found.messages))
		}
		p.correct(int64(p.stored) * p.typical.Load())
	}
}

// overShare delays d, of whose tenant the overflow takes no more.
func (c *Consumer) overShare(f *flow, d *delivery) {
	c.observers.shed(Shed{Tenant: d.msg.Tenant, Downstream: d.route.Downstream, Policy: OverflowDelay})
	c.spillRefused(f, d, errShareFull)
}
