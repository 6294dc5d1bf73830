package consumer

import "time"

// bar says whether the consumer of f is somebody else's, under the name that ours would have.
// Then nothing more goes to that overflow: what its queue has no room for is delayed, what it
// has room for does not wait behind copies that nobody can take, and these wait until the
// name is free. An Unmanaged Consumer spills nothing in any case.
func (s *spillway) bar(f *flow, foreign bool) {
	s.mu.Lock()
	f.shut = foreign || s.c.cfg.Unmanaged
	var behind []*delivery
	if f.shut && !f.releasing {
		behind = s.takeBehind(f)
	}
	s.mu.Unlock()
	now := time.Now()
	for _, d := range behind {
		s.c.enqueue(d, now)
	}
	if f.rear != nil {
		s.serve(f.rear)
	}
}
