package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// byTenant counts what comes to a downstream.
type byTenant struct {
	mu   sync.Mutex
	came map[string]int
}

func (b *byTenant) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.came == nil {
		b.came = make(map[string]int)
	}
	b.came[r.Header.Get("Spillway-Tenant")]++
}

func (b *byTenant) of(tenant string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.came[tenant]
}

// awaitOf returns when at least n messages of a tenant have come.
func (b *byTenant) awaitOf(t *testing.T, tenant string, n int) {
	t.Helper()
	for deadline := time.Now().Add(patience); b.of(tenant) < n; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%d of %d messages of %s came", b.of(tenant), n, tenant)
		}
	}
}

// A fleet is two processes of one durable.
type fleet struct {
	workers [2]*worker
	flags   [2][]string // to reach each with
}

func startFleet(t *testing.T, config, token string) (f fleet) {
	t.Helper()
	for i := range f.workers {
		f.workers[i] = start(t, config, "run")
	}
	for i, w := range f.workers {
		w.await("consuming")
		at, ok := opsURL(w)
		if !ok {
			t.Fatalf("it serves nothing:\n%s", w.errors())
		}
		f.flags[i] = []string{"--ops", at, "--token-file", token}
	}
	return f
}

func (f fleet) stop(t *testing.T) {
	t.Helper()
	for _, w := range f.workers {
		w.signal(syscall.SIGTERM)
	}
	for _, w := range f.workers {
		if code := w.exit(); code != exitClean {
			t.Errorf("exit code is %d:\n%s", code, w.errors())
		}
	}
}

// tenants runs `worker tenants` through one of the processes.
func (f fleet) tenants(t *testing.T, through int, args ...string) (stdout string) {
	t.Helper()
	code, stdout, stderr := run(t, "", append(append([]string{"tenants", args[0]}, f.flags[through]...), args[1:]...)...)
	if code != exitClean {
		t.Fatalf("%q: exit code is %d: %s%s", args, code, stdout, stderr)
	}
	return stdout
}

// awaitState returns how a process treats a tenant, as soon as that is as it should be.
func (f fleet) awaitState(t *testing.T, in int, tenant string, is func(consumer.TenantState) bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		var states []consumer.TenantState
		if err := json.Unmarshal([]byte(f.tenants(t, in, "ls", "--json")), &states); err != nil {
			t.Fatal(err)
		}
		for _, s := range states {
			if s.Tenant == tenant && is(s) {
				return
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %d knows %+v", in, states)
		}
	}
}

func TestWhatIsSetThroughOneProcessHoldsInTheOtherAndThroughARestartOfBoth(t *testing.T) {
	t.Parallel() // it mostly waits
	const each = 60
	server := consumertest.NewServer(t, consumertest.WithListen())
	server.Stream(t, "JOBS", "jobs.>")
	js := server.JetStream(t)
	down := new(byTenant)
	web := httptest.NewServer(down)
	t.Cleanup(web.Close)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := strings.NewReplacer(
		"nats://127.0.0.1:0", server.URL(t),
		`ops: {listen: "127.0.0.1:0"}`, `ops: {listen: "127.0.0.1:0", token_file: "`+token+`"}`,
	).Replace(fileWith(web.URL, "buffer: {messages: 8}")) // so that each process has some of each tenant
	publish := func() {
		t.Helper()
		for range each {
			for _, tenant := range []string{"acme", "bolt"} {
				if _, err := js.Publish(t.Context(), "jobs."+tenant+".x", []byte("x"), jetstream.WithExpectStream("JOBS")); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	paused := func(s consumer.TenantState) bool { return s.Paused && s.Weight == 4 }
	f := startFleet(t, config, token)
	f.tenants(t, 0, "set", "acme", "--weight", "4")
	f.tenants(t, 0, "pause", "acme")
	begun := time.Now()
	f.awaitState(t, 1, "acme", paused)
	t.Logf("seen in the other process %v after the command ended, a command to look included", time.Since(begun).Round(time.Millisecond))
	publish()
	down.awaitOf(t, "bolt", each)
	f.stop(t)

	f = startFleet(t, config, token)
	publish()
	down.awaitOf(t, "bolt", 2*each)
	for i := range f.workers {
		f.awaitState(t, i, "acme", paused)
	}
	if n := down.of("acme"); n != 0 {
		t.Errorf("%d messages of a tenant that is paused came", n)
	}
	f.tenants(t, 1, "reset", "acme")
	down.awaitOf(t, "acme", 2*each)
	f.stop(t)
}
