package consumer

import "time"

// waits reports whether f has to wait for what goes before it. It requires that mu is held.
func (f *flow) waits() bool {
	return f.clearing || f.front != nil && f.front.mode != flowCalm && !f.front.shut
}

// clear begins to move the queue of key out of the way, and returns its flow, and the front
// of that if it has one. Until cleared is called their lanes ask for nothing. It returns false
// while one does: then it is to be tried again.
func (s *spillway) clear(key flowKey) (f, front *flow, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f = s.get(key)
	f.idleSince = time.Now() // it is not forgotten meanwhile
	front = f.front
	if f.asking || f.releasing || front != nil && front.asking {
		return nil, nil, false
	}
	f.clearing = true
	if front != nil {
		front.clearing = true
	}
	return f, front, true
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
	w := whereabouts{rear: f, overflows: f.mode != flowCalm, rearAway: f.away > 0}
	w.frontAway = f.front != nil && f.front.away > 0
	return w
}

// toFront counts d as on its way to the front of f, and returns that. It returns nil if d
// cannot go there.
func (s *spillway) toFront(f *flow, d *delivery) *flow {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := f.key
	key.Front = true
	front := s.get(key)
	front.idleSince = time.Now()
	if f.shut || front.shut || !s.c.movable(d) || !s.roomFor(front, d) {
		return nil
	}
	front.clearing = f.clearing
	if front.mode == flowCalm {
		s.set(front, flowSpilling)
	}
	s.depart(front, d)
	return front
}
