package consumer

import (
	"errors"
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

// behind is what waits behind the overflows of all queues.
type behind struct{ messages, bytes int64 }

// mayWait reports whether d may wait behind the overflow of f, rather than go there. What waits
// is let go only when the overflow has come back, and must never hold what that needs to come:
// together it has the main lane's part of the shared budget and no more. It requires that mu
// is held.
func (s *spillway) mayWait(f *flow, d *delivery) bool {
	whole, back := &s.c.shared, &s.c.spillBudget
	return s.behind.messages < whole.maxMessages-back.maxMessages && s.behind.bytes+int64(d.size) <= whole.maxBytes-back.maxBytes &&
		len(f.behind) < s.c.queues.Room(d.msg.Tenant, d.route.Downstream).Items
}

// wait lets d wait behind the overflow of f. It requires that mu is held.
func (s *spillway) wait(f *flow, d *delivery) {
	f.behind = append(f.behind, d)
	s.behind.messages++
	s.behind.bytes += int64(d.size)
}

// takeBehind takes what waits behind the overflow of f. It requires that mu is held.
func (s *spillway) takeBehind(f *flow) []*delivery {
	ds := f.behind
	f.behind = nil
	for _, d := range ds {
		s.behind.messages--
		s.behind.bytes -= int64(d.size)
	}
	return ds
}

// release queues what waited behind the overflow of f, which is empty now.
func (s *spillway) release(f *flow) {
	for {
		s.mu.Lock()
		behind := s.takeBehind(f)
		f.releasing = len(behind) > 0
		if len(behind) == 0 {
			if f.mode == flowReturning {
				s.set(f, flowCalm)
			}
			stops := s.yield()
			s.mu.Unlock()
			end(stops)
			if f.rear != nil {
				s.serve(f.rear)
			}
			return
		}
		s.mu.Unlock()
		for i, d := range behind {
			err := s.c.queues.PushAt(time.Now(), d.msg.Tenant, d.route.Downstream, d, d.size)
			if errors.Is(err, tenants.ErrClosed) {
				s.c.giveBack(d)
				continue
			}
			if err != nil {
				s.again(f, behind[i:])
				return
			}
		}
	}
}

// again makes f, which is releasing, spill once more, beginning with ds. It spills only
// once they and all that came meanwhile are submitted: nothing newer passes them.
func (s *spillway) again(f *flow, ds []*delivery) {
	for {
		s.mu.Lock()
		ds = append(ds[:len(ds):len(ds)], s.takeBehind(f)...)
		s.depart(f, ds...)
		if len(ds) == 0 {
			f.releasing = false
			s.set(f, flowSpilling)
			s.mu.Unlock()
			return
		}
		s.mu.Unlock()
		for _, d := range ds {
			s.c.spill(f, d)
		}
		ds = nil
	}
}

// takeAllBehind returns everything that waits behind overflows. It is for a drain.
func (s *spillway) takeAllBehind() []*delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*delivery
	for _, f := range s.flows {
		all = append(all, s.takeBehind(f)...)
	}
	return all
}
