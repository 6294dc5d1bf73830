package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// hits counts the messages that came to a downstream, by their idempotency keys.
type hits struct {
	mu   sync.Mutex
	seen map[string]int
	done chan struct{} // closed when all have come
	half chan struct{} // closed when half have come
	all  int
}

func newHits(all int) *hits {
	return &hits{seen: make(map[string]int), done: make(chan struct{}), half: make(chan struct{}), all: all}
}

func (h *hits) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := r.Header.Get("Idempotency-Key")
	h.seen[key]++
	if h.seen[key] > 1 {
		return
	}
	switch len(h.seen) {
	case h.all / 2:
		close(h.half)
	case h.all:
		close(h.done)
	}
}

// twice returns how many messages came more than once.
func (h *hits) twice() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, times := range h.seen {
		if times > 1 {
			n++
		}
	}
	return n
}

// count returns how many messages came.
func (h *hits) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.seen)
}

// more returns how often a message came that had come before.
func (h *hits) more() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, times := range h.seen {
		n += times - 1
	}
	return n
}

func TestOfTwoProcessesOneKilledInTheMiddleLosesNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	const (
		messages = 20_000
		buffer   = 128 // what one process may have in flight
	)
	server := consumertest.NewServer(t, consumertest.WithListen())
	server.Stream(t, "JOBS", "jobs.>")
	js := server.JetStream(t)
	for i := range messages {
		if _, err := js.PublishAsync(fmt.Sprintf("jobs.t%d.x", i%20), []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()

	downstream := newHits(messages)
	web := httptest.NewServer(downstream)
	t.Cleanup(web.Close)
	config := fmt.Sprintf(`
nats: {url: %q}
stream: JOBS
durable: worker
tenant: {subject_token: 2}
workers: 16
ack_wait: 2s
buffer: {messages: %d}
handlers: [{subject: "jobs.>", http: {url: %q}}]
ops: {listen: "127.0.0.1:0"}
log: {format: json}
`, server.URL(t), buffer, web.URL)

	binary := buildCommand(t)
	killed, survivor := startBuilt(t, binary, config), startBuilt(t, binary, config)
	await(t, "half of the messages", downstream.half)
	if err := killed.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	await(t, "all of the messages", downstream.done)
	if n := downstream.twice(); n > buffer {
		t.Errorf("%d messages came twice; at most %d were in flight", n, buffer)
	}
	survivor.signal(syscall.SIGTERM)
	if code := survivor.exit(); code != 0 {
		t.Errorf("the survivor ended with %d:\n%s", code, survivor.errors())
	}
	consumer, err := js.Consumer(t.Context(), "JOBS", "worker")
	if err != nil {
		t.Fatal(err)
	}
	if info := consumer.CachedInfo(); info.NumPending != 0 || info.NumAckPending != 0 {
		t.Errorf("%d pending, %d not acknowledged", info.NumPending, info.NumAckPending)
	}
	if _, err := js.Stream(t.Context(), "JOBS_DEAD"); err != nil {
		t.Error(err)
	} else if n := streamLength(t, js, "JOBS_DEAD"); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}

// buildCommand builds the command as a user would.
func buildCommand(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "worker")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// startBuilt runs the built command with a config.
func startBuilt(t *testing.T, binary, config string) *worker {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "worker.yaml"), []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	return startProgram(t, binary, dir, "run", "--config", "worker.yaml")
}

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Fatalf("%s did not come", what)
	}
}

func streamLength(t *testing.T, js jetstream.JetStream, name string) uint64 {
	t.Helper()
	s, err := js.Stream(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}
