package ops_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer/ops"
)

// event is one server-sent event.
type event struct{ id, name, data string }

// page reads events as a browser does.
type page struct {
	t     *testing.T
	body  io.Closer
	lines *bufio.Scanner
	retry string
}

// openStream asks for events; a status that is not 200 fails the test.
func openStream(t *testing.T, url string, change ...func(*http.Request)) *page {
	t.Helper()
	resp := request(t, url, change...) //nolint:bodyclose // its cleanup does
	if got := resp.Header.Get("Content-Type"); resp.StatusCode != 200 || got != "text/event-stream" {
		t.Fatalf("answered %s of %q", resp.Status, got)
	}
	p := &page{t: t, body: resp.Body, lines: bufio.NewScanner(resp.Body)}
	p.lines.Buffer(nil, 16<<20)
	return p
}

func request(t *testing.T, url string, change ...func(*http.Request)) *http.Response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(r)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	return resp
}

// next returns the next event, comments apart.
func (p *page) next() event {
	p.t.Helper()
	var e event
	for p.lines.Scan() {
		field, value, _ := strings.Cut(p.lines.Text(), ": ")
		switch field {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "retry":
			p.retry = value
		case "":
			if e.name != "" {
				return e
			}
		}
	}
	p.t.Fatalf("the stream ended: %v", p.lines.Err())
	return e
}

// told is what the tests look at of a state event.
type told struct {
	Process string
	State   struct {
		Stream  string
		Tenants json.RawMessage
	}
	Rates  struct{ Acked float64 }
	Charts struct{ At []int64 }
	Totals struct {
		Tenants, Waiting, Queued int
		Overflow                 uint64
	}
	Tenants struct {
		Matched int
		Rows    []struct {
			Tenant  string
			Share   float64
			WaitP99 int64 `json:"wait_p99_ns"`
		}
	}
	Control bool
}

func decode[T any](t *testing.T, e event, name string) (v T) {
	t.Helper()
	if e.name != name {
		t.Fatalf("the event is %q, want %q", e.name, name)
	}
	if err := json.Unmarshal([]byte(e.data), &v); err != nil {
		t.Fatalf("%v in %s", err, e.data)
	}
	return v
}

// live serves a worker whose ticks the test gives.
func live(t *testing.T, w *worker, cfg ops.Config) (url string, tick func()) {
	t.Helper()
	if cfg.Listen = local; cfg.Consumer == nil {
		cfg.Consumer = w
	}
	server := httptest.NewServer(serve(t, cfg))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	w.state.At = time.Now().Truncate(time.Second)
	return server.URL + "/api/v1/events", func() {
		w.state.At = w.state.At.Add(time.Second)
		w.events.Tick(w.state.At)
	}
}

type history struct {
	At     []int64
	Series map[string][]*float64
}
