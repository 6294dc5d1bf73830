package main

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// A process that spills a flood is killed again and again, whatever it is at.
func TestAProcessKilledTwentyTimesInASpillingFloodLosesNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	const (
		flood  = 8000
		kills  = 20
		buffer = 512
	)
	server := consumertest.NewServer(t, consumertest.WithListen())
	server.Stream(t, "JOBS", "jobs.>")
	js := server.JetStream(t)
	for range flood {
		if _, err := js.PublishAsync("jobs.flood.x", []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()

	downstream := newHits(flood)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		downstream.ServeHTTP(w, r)
		time.Sleep(2 * time.Millisecond) // so that queues fill
	}))
	t.Cleanup(web.Close)
	config := fmt.Sprintf(`
nats: {url: %q}
stream: JOBS
durable: worker
tenant: {subject_token: 2}
workers: 8
ack_wait: 2s
buffer: {messages: %d}
tenants: {default: {queue: 64}}
handlers: [{subject: "jobs.>", http: {url: %q}}]
ops: {listen: "127.0.0.1:0"}
log: {format: json}
`, server.URL(t), buffer, web.URL)

	binary := buildCommand(t)
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	for range kills {
		before := downstream.count()
		w := startBuilt(t, binary, config)
		for deadline := time.Now().Add(time.Minute); downstream.count() == before; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("nothing was handled:\n%s", w.errors())
			}
		}
		time.Sleep(time.Duration(random.IntN(150)) * time.Millisecond) // where it is killed is of no matter
		if err := w.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
	}
	if n := streamLength(t, js, "JOBS_OVERFLOW"); n == 0 {
		t.Error("nothing was spilled: this tests nothing")
	}
	survivor := startBuilt(t, binary, config)
	await(t, "all of the messages", downstream.done)
	if n := downstream.more(); n > kills*buffer {
		t.Errorf("%d came more than once; at most %d were in flight at a kill", n, buffer)
	}
	for deadline := time.Now().Add(time.Minute); streamLength(t, js, "JOBS_OVERFLOW") > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d copies are left", streamLength(t, js, "JOBS_OVERFLOW"))
		}
	}
	survivor.signal(syscall.SIGTERM)
	if code := survivor.exit(); code != 0 {
		t.Errorf("the survivor ended with %d:\n%s", code, survivor.errors())
	}
	if n := streamLength(t, js, "JOBS_DEAD"); n != 0 {
		t.Errorf("%d dead letters", n)
	}
}
