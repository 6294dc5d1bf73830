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

// offer queues job if the mark is off. If the job has turned it on, the caller announces
// that.
func (s *shedder) offer(queue chan func(context.Context), job func(context.Context)) (turned bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mark.On() {
		return false, ErrShed
	}
	select {
	case queue <- job:
	default: // cannot be: the mark is below
		return false, ErrShed
	}
	_, turned = s.mark.turn(len(queue))
	return turned, nil
}

// taken is for a worker that has taken a job. If that has turned the mark off, the caller
// announces it.
func (s *shedder) taken(queue chan func(context.Context)) (turned bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, turned = s.mark.turn(len(queue))
	return turned
}
