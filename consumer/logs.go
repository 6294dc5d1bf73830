package consumer

import (
	"log/slog"
	"sync"
	"time"
)

// logEvery is how often a warning that may come with every message is written.
const logEvery = 5 * time.Second

// logs are the warnings that a fault may cause thousands of times a second.
type logs struct {
	settle, pull, repair, move, admit, handler, panics, letters, rates sampled
}

func newLogs(log *slog.Logger) *logs {
	ls := new(logs)
	for _, s := range []*sampled{&ls.settle, &ls.pull, &ls.repair, &ls.move, &ls.admit, &ls.handler, &ls.panics, &ls.letters, &ls.rates} {
		s.log = log
	}
	return ls
}

// sampled writes one warning of its kind in a while, with how many it kept to
// itself.
type sampled struct {
	log *slog.Logger

	mu      sync.Mutex
	last    time.Time
	skipped int
}

func (s *sampled) warn(msg string, args ...any) {
	now := time.Now()
	s.mu.Lock()
	if !s.last.IsZero() && now.Sub(s.last) < logEvery {
		s.skipped++
		s.mu.Unlock()
		return
	}
	skipped := s.skipped
	s.last, s.skipped = now, 0
	s.mu.Unlock()
	if skipped > 0 {
		args = append(args, "similar", skipped)
	}
	s.log.Warn(msg, args...)
}
