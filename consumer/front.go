package consumer

import (
	"slices"
	"time"
)

// waits reports whether f has to wait for what goes before it. It requires that mu is held.
func (f *flow) waits() bool {
	return f.clearing || f.front != nil && f.front.mode != flowCalm && !f.front.shut
}

// clear begins to move the queue of key out of the way, and returns its flow. Until cleared
// is called its lane and that of its front ask for nothing. It returns false while one does:
// then it is to be tried again.
func (s *spillway) clear(key flowKey) (f *flow, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f = s.get(key)
	f.idleSince = time.Now() // it is not forgotten meanwhile
	if f.asking || f.releasing || f.front != nil && f.front.asking {
		return nil, false
	}
	f.clearing = true
	if f.front != nil {
		f.front.clearing = true
	}
	return f, true
}

// cleared ends what clear began.
func (s *spillway) cleared(f *flow) {
	s.mu.Lock()
	f.clearing = false
	front := f.front
	if front != nil {
		front.clearing = false
	}
	s.mu.Unlock()
	if front != nil {
		s.serve(front)
	}
	s.serve(f)
}

// whereabouts returns where the overflow of the queue of f is.
func (s *spillway) whereabouts(f *flow) whereabouts {
	s.mu.Lock()
	defer s.mu.Unlock()
	w := whereabouts{rear: f, front: f.front, overflows: f.mode != flowCalm, rearAway: f.away > 0}
	w.frontAway = f.front != nil && f.front.away > 0
	return w
}

// behindOf takes what waits behind the overflow of f, which goes there: it comes back now
// only when that does. It stays if there is no room for all of it.
func (s *spillway) behindOf(f *flow) []*delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.mode != flowReturning || f.shut || !s.roomFor(f, f.behind...) {
		return nil
	}
	behind := s.takeBehind(f)
	s.set(f, flowSpilling)
	s.depart(f, behind...)
	return behind
}

// toFront counts ds as on their way to the front of f, and returns that. It takes all or,
// with nil, none: what is older must not go where what is newer cannot follow.
func (s *spillway) toFront(f *flow, ds []*delivery) *flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := f.key
	key.Front = true
	front := s.get(key)
	front.idleSince = time.Now()
	if f.shut || front.shut || !s.roomFor(front, ds...) || slices.ContainsFunc(ds, func(d *delivery) bool { return !s.c.movable(d) }) {
		return nil
	}
	front.clearing = f.clearing
	if front.mode == flowCalm {
		s.set(front, flowSpilling)
	}
	s.depart(front, ds...)
	return front
}
