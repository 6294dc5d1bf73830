package ops

import (
	"fmt"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// stuckFor is for how long every worker must be held by a handler that does not
// return before /livez fails: long enough for handlers that clean up when their time
// is over.
const stuckFor = 30 * time.Second

// liveness remembers, between probes, since when all workers have been stuck.
type liveness struct {
	mu    sync.Mutex
	since time.Time // zero: they are not
}

// check returns why a restart would help, or "".
func (l *liveness) check(s consumer.Snapshot) string {
	if s.State == consumer.StateStopped {
		return "the consumer has stopped, and its process has not"
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	// A drain ends by itself, and with it the process.
	if s.Workers == 0 || s.Stuck < s.Workers || s.State == consumer.StateDraining {
		l.since = time.Time{}
		return ""
	}
	if l.since.IsZero() {
		l.since = s.At
	}
	if stuck := s.At.Sub(l.since); stuck >= stuckFor {
		return fmt.Sprintf("all %d workers have been stuck for %v: their handlers do not return when their context ends", s.Workers, stuck.Round(time.Second))
	}
	return ""
}

func (s *server) livez(w http.ResponseWriter, _ *http.Request) {
	if why := s.live.check(s.worker.Snapshot()); why != "" {
		s.log.Error("not live", "reason", why)
		http.Error(w, why, http.StatusServiceUnavailable)
		return
	}
	ok(w)
}

func (s *server) readyz(w http.ResponseWriter, _ *http.Request) {
	if err := s.worker.Ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	ok(w)
}

func ok(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = io.WriteString(w, "ok\n") // the client went away, or it did not
}
