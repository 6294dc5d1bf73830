package consumer

import "sync"

// staff is the number of workers. It grows by starting some, and shrinks by letting go whoever
// is idle or done with a message first: no handler is interrupted.
//
// mu guards the fields below it. It is held while workers are started and dismissed, neither
// of which blocks.
type staff struct {
	c *Consumer

	mu    sync.Mutex
	size  int    // how many there are to be
	start func() // starts one; nil before Run, and once nobody is to be started or dismissed
	again func() // starts one in place of one that its handler has ended
}

// hire starts the workers, each by start.
func (s *staff) hire(start func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start, s.again = start, start
	s.size = s.c.live.Load().Workers
	for range s.size {
		start()
	}
}

// resize makes them as many as the config says now. Before Run it does nothing: hire will.
func (s *staff) resize() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.start == nil {
		return
	}
	here := s.size + s.c.queues.Dismiss(0) // those who were to go and have not, stay
	s.size = s.c.live.Load().Workers
	for range s.size - here {
		s.start()
	}
	if s.size < here {
		s.c.queues.Dismiss(here - s.size)
	}
}

// freeze keeps the number as it is, from the beginning of a drain on.
func (s *staff) freeze() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start = nil
}

// replace is for a worker that its handler has ended.
func (s *staff) replace() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.again()
}
