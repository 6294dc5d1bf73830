package consumer

import "time"

// serve sees to it that the lane of f runs, and looks, if there is anything for it. With
// too many lanes f stands in line.
func (s *spillway) serve(f *flow) {
	s.mu.Lock()
	if f.dry || f.waits() || s.start == nil {
		s.mu.Unlock()
		return
	}
	if f.granted {
		l := f.lane
		s.mu.Unlock()
		l.wake()
		return
	}
	if !f.since.IsZero() { // in line
		s.mu.Unlock()
		return
	}
	f.since = time.Now()
	s.line = append(s.line, f)
	s.mu.Unlock()
	s.grant()
}

// grant gives lanes to those first in line, and makes room for those that get none.
func (s *spillway) grant() {
	for {
		s.mu.Lock()
		if len(s.line) == 0 || len(s.running) >= s.maxLanes || s.start == nil {
			stops := s.yield()
			s.mu.Unlock()
			end(stops)
			return
		}
		f := s.line[0]
		s.line[0] = nil
		s.line = s.line[1:]
		if f.lane == nil {
			f.lane = s.c.newOverflowLane(f)
			f.lane.state.pending.Store(f.stored)
		}
		f.granted, f.since = true, time.Now()
		s.running[f] = struct{}{}
		// Under mu, so that a drain that has stopped the lanes sees all of them.
		f.stop = s.start(f.lane, func() { s.ended(f) })
		s.mu.Unlock()
	}
}

// ended is called when the lane of f has ended. What waited behind its overflow shall not
// hold places of the main lane until f has its turn again.
func (s *spillway) ended(f *flow) {
	s.mu.Lock()
	f.granted, f.leaving, f.asking, f.since, f.stop = false, false, false, time.Time{}, nil
	delete(s.running, f)
	more := !f.dry
	f.releasing = f.mode == flowReturning && s.start != nil // else a drain takes care of it
	releasing := f.releasing
	s.mu.Unlock()
	if releasing {
		s.again(f, nil)
	}
	if more {
		s.serve(f)
	}
	s.grant()
}

// quantum is how long a lane runs at least while others stand in line. The server counts
// a consumer for twice AckWait after its last request.
func (s *spillway) quantum() time.Duration { return s.c.overflowLinger() }

// tidy ends lanes that have nothing to do for a while, or have had their time while others
// stand in line, and forgets flows that were calm for a while.
func (s *spillway) tidy(now time.Time) {
	s.mu.Lock()
	var stops []func()
	waiting := s.short()
	for _, f := range s.flows {
		idle := f.mode == flowCalm && f.dry && f.front == nil && now.Sub(f.idleSince) > flowIdle
		switch {
		case f.leaving:
		case f.granted && (idle || waiting > 0 && now.Sub(f.since) > s.quantum()):
			stops = append(stops, f.leave())
			waiting--
		case idle && !f.granted && f.unconfirmed == 0 && (f.lane == nil || s.c.leases.dismiss(f.lane)):
			s.forget(f)
		case !f.granted && f.mode != flowCalm && f.lane != nil && s.c.leases.dismiss(f.lane):
			f.stored, f.lane = f.lane.state.pending.Load(), nil // many may wait long for their turn
		}
	}
	s.mu.Unlock()
	end(stops)
}

// yield returns how to end lanes that have nothing to do, as many as others stand in line
// for. It requires that mu is held.
func (s *spillway) yield() (stops []func()) {
	waiting := s.short()
	for f := range s.running {
		if waiting <= 0 {
			break
		}
		if (f.mode == flowCalm && f.dry || f.waits()) && !f.leaving {
			stops = append(stops, f.leave())
			waiting--
		}
	}
	return stops
}

// short returns how many lanes are wanted beyond those that are there and those that are
// about to end. It requires that mu is held.
func (s *spillway) short() int {
	n := len(s.line)
	if n == 0 {
		return 0
	}
	for f := range s.running {
		if f.leaving {
			n--
		}
	}
	return n
}

// leave returns how to end the lane of f. It requires that mu is held.
func (f *flow) leave() (stop func()) {
	f.leaving = true
	return f.stop
}

// end ends lanes.
func end(stops []func()) {
	for _, stop := range stops {
		stop()
	}
}
