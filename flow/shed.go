package flow

import (
	"context"
	"sync"
)

// shedder is a queue's watermark, exact: nobody sees a depth that is no more.
type shedder struct {
	// mu is held for a send that does not wait, and for reading the depth. Nothing blocks
	// and nobody is called meanwhile.
	mu   sync.Mutex
	mark Watermark
}

func (s *shedder) offer(queue chan func(context.Context), job func(context.Context)) error {
	s.mu.Lock()
	if s.mark.On() {
		s.mu.Unlock()
		return ErrShed
	}
	select {
	case queue <- job:
	default: // cannot be: the mark is below
		s.mu.Unlock()
		return ErrShed
	}
	on, turned := s.mark.turn(len(queue))
	s.mu.Unlock()
	if turned {
		s.mark.announce(on)
	}
	return nil
}

// taken is for a worker that has taken a job.
func (s *shedder) taken(queue chan func(context.Context)) {
	s.mu.Lock()
	on, turned := s.mark.turn(len(queue))
	s.mu.Unlock()
	if turned {
		s.mark.announce(on)
	}
}
