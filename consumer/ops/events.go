package ops

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// Bounds of the stream of events.
const (
	maxStreams    = 32              // pages that are told at once
	streamRetry   = 2 * time.Second // after which a page comes back that lost its stream
	streamSilence = 2 * time.Second // after which a stream asks for a sample itself
	streamBeat    = 10 * time.Second
	streamWrite   = 5 * time.Second // for which a page may be slow to read
)

// stream is the handler of the server-sent events.
type stream struct {
	sampler *sampler
	open    atomic.Int64
}

func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v, err := viewOf(r.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy that gathers events shows them late
	if r.Method == http.MethodHead {
		return
	}
	if s.open.Add(1) > maxStreams {
		s.open.Add(-1)
		w.Header().Set("Retry-After", "5")
		http.Error(w, fmt.Sprintf("there are %d streams already, which is the most", maxStreams), http.StatusServiceUnavailable)
		return
	}
	defer s.open.Add(-1)
	t := &telling{sampler: s.sampler, view: v, w: w, to: http.NewResponseController(w)}
	_ = t.to.SetReadDeadline(time.Time{}) // the server's ReadTimeout is for the request, and would end the answer
	_ = t.tell(r, s.sampler.after(r))     // the page went away, was too slow, or the server ends
}

// after returns up to when the page that asks has the history: in Unix milliseconds, 0 if it
// has nothing of this process.
func (s *sampler) after(r *http.Request) int64 {
	id := r.Header.Get("Last-Event-ID")
	if id == "" {
		id = r.URL.Query().Get("last_event_id")
	}
	process, at, _ := strings.Cut(id, ".")
	last, err := strconv.ParseInt(at, 10, 64)
	if err != nil || process != s.process {
		return 0
	}
	return last
}

// telling is what is told to one page. Nothing is kept for one that is slow: it gets the
// latest frame when it has taken the one before, and none after streamWrite.
type telling struct {
	sampler *sampler
	view    view
	w       http.ResponseWriter
	to      *http.ResponseController
	told    uint64 // the frame
}

// tell returns when the page is gone.
func (t *telling) tell(r *http.Request, after int64) error {
	if err := t.begin(after); err != nil {
		return err
	}
	silence, beat := time.NewTimer(streamSilence), time.NewTicker(streamBeat)
	defer silence.Stop()
	defer beat.Stop()
	for {
		f, news := t.sampler.now()
		if f != nil && f.seq != t.told {
			t.told = f.seq
			silence.Reset(streamSilence)
			if err := t.frame(f); err != nil {
				return err
			}
		}
		select {
		case <-news:
		case <-silence.C:
			t.sampler.sample(time.Now())
			silence.Reset(streamSilence)
		case <-beat.C:
			if err := t.write([]byte(":\n\n")); err != nil { // a comment, so that nobody takes the connection for dead
				return err
			}
		case <-r.Context().Done():
			return r.Context().Err()
		}
	}
}

// begin sends the history.
func (t *telling) begin(after int64) error {
	if f, _ := t.sampler.now(); f == nil || time.Since(f.at) > streamSilence {
		t.sampler.sample(time.Now())
	}
	past, err := json.Marshal(chartsOf(t.sampler.past(after)))
	if err != nil {
		return err
	}
	return t.write(fmt.Appendf(nil, "retry: %d\nevent: history\ndata: %s\n\n", streamRetry.Milliseconds(), past))
}

func (t *telling) frame(f *frame) error {
	data := t.sampler.event(f, t.view)
	if data == nil {
		return nil // the page will say that it has no news
	}
	return t.write(fmt.Appendf(nil, "id: %s.%d\nevent: state\ndata: %s\n\n", t.sampler.process, f.point.at, data))
}

func (t *telling) write(b []byte) error {
	if err := t.to.SetWriteDeadline(time.Now().Add(streamWrite)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	if _, err := t.w.Write(b); err != nil {
		return err
	}
	return t.to.Flush()
}
