package consumer

import (
	"errors"
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

// release queues what waited behind the overflow of f, which is empty now.
func (s *spillway) release(f *flow) {
	for {
		s.mu.Lock()
		behind := f.behind
		f.behind, f.releasing = nil, len(behind) > 0
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
		ds = append(ds[:len(ds):len(ds)], f.behind...)
		f.behind = nil
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

// takeBehind returns everything that waits behind overflows. It is for a drain.
func (s *spillway) takeBehind() []*delivery {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []*delivery
	for _, f := range s.flows {
		all = append(all, f.behind...)
		f.behind = nil
	}
	return all
}
