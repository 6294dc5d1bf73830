package deploy_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// permitted starts a server with the users of docs/permissions.md.
func permitted(t *testing.T) *consumertest.Server {
	t.Helper()
	_, rest, _ := strings.Cut(read(t, "../docs/permissions.md"), "```conf\n")
	conf, _, _ := strings.Cut(rest, "```")
	file := filepath.Join(t.TempDir(), "nats.conf")
	if err := os.WriteFile(file, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	parsed, err := server.ProcessConfigFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if len(parsed.Users) != 4 {
		t.Fatalf("%d users, want 4", len(parsed.Users))
	}
	return consumertest.NewServer(t, consumertest.WithListen(), consumertest.WithConfig(func(o *server.Options) {
		o.Accounts, o.Users = parsed.Accounts, parsed.Users
	}))
}

// as is the config of a worker that connects as a user.
func as(t *testing.T, s *consumertest.Server, user string, more ...string) string {
	t.Helper()
	text := strings.Join(append([]string{
		"nats: {url: \"" + strings.Replace(s.URL(t), "nats://", "nats://"+user+":change-me@", 1) + "\"}",
		"stream: JOBS", "durable: worker", "subjects: [jobs.>]",
		"tenant: {subject_token: 2}", "tenants: {default: {queue: 8}}",
		"retry: {initial: 10ms}", "overflow: {max_bytes: 64MiB}", "log: {format: json}",
	}, more...), "\n") + "\n"
	path := filepath.Join(t.TempDir(), "worker.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// answers is a downstream that fails each of the first runs of tenant "again", refuses "bad"
// for good, and counts.
type answers struct {
	mu    sync.Mutex
	calls map[string]int // by tenant
}

func (a *answers) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	tenant := r.Header.Get("Spillway-Tenant")
	a.calls[tenant]++
	switch {
	case tenant == "bad":
		w.WriteHeader(http.StatusBadRequest)
	case tenant == "again" && r.Header.Get("Spillway-Attempt") == "1":
		w.WriteHeader(http.StatusInternalServerError)
	}
}

func (a *answers) of(tenant string, want int) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.calls[tenant] != want {
		return fmt.Errorf("%d calls for %s, want %d", a.calls[tenant], tenant, want)
	}
	return nil
}

// Everything that a worker does: it makes what is missing, handles, spills, retries and
// dead-letters. Then everything that an operator does, and a load.
func TestThePermissionsAreEnough(t *testing.T) {
	s := permitted(t)
	a := &answers{calls: make(map[string]int)}
	downstream := httptest.NewServer(a)
	t.Cleanup(downstream.Close)
	ops, token := freeAddress(t), absolute(t, "compose/demo.token")
	handler := `handlers: [{subject: jobs.>, http: {url: "` + downstream.URL + `"}}]`
	w := start(t, worker(t), "run", "--config", as(t, s, "worker", handler, "ops: {listen: \""+ops+"\", token_file: "+token+"}"))
	eventually(t, func() error { return status("http://"+ops+"/readyz", http.StatusOK) })

	publish(t, s, map[string]int{"flood": 500, "bad": 3, "again": 5})
	eventually(t, func() error { return a.of("flood", 500) })
	eventually(t, func() error { return a.of("again", 10) })
	eventually(t, func() error { return spilled("http://" + ops) })

	operator := as(t, s, "operator", handler)
	for _, command := range [][]string{{"dlq", "ls", "--json"}, {"dlq", "show", "1"}, {"dlq", "replay", "1"}, {"dlq", "discard", "--all"}} {
		eventually(t, func() error { return allowed(t, operator, command...) }) // a dead letter may be on its way
	}
	eventually(t, func() error { return a.of("bad", 4) }) // three, and the one that was replayed
	load := []string{"load", "--subject=jobs.load.x", "--rate=50/s", "--duration=300ms"}
	err := allowed(t, as(t, s, "load", handler), load...)
	if err != nil && !strings.Contains(err.Error(), "of the sent 15 ok") { // late is not forbidden
		t.Error(err)
	}
	for _, command := range [][]string{{"pause", "acme"}, {"resume", "acme"}, {"set", "acme", "--weight=2"}, {"ls"}, {"reset", "acme"}} {
		command = append(append([]string{"tenants"}, command...), "--ops=http://"+ops, "--token-file="+token)
		if code, out := run(t, worker(t), command...); code != 0 {
			t.Errorf("worker %q: exit %d\n%s", command, code, out)
		}
	}
	w.stop()
	publish(t, s, map[string]int{"flood": 20})
	if err := allowed(t, operator, "lag"); err != nil {
		t.Error(err)
	}
	if strings.Contains(strings.ToLower(w.logged()), "violation") {
		t.Error("the worker does something that it may not")
	}
}

// allowed runs a command and returns nil if it does all that it should.
func allowed(t *testing.T, config string, command ...string) error {
	t.Helper()
	code, out := run(t, worker(t), append(command, "--config", config)...)
	for _, complaint := range []string{"iolation", "warning", "cannot", "not be counted"} {
		if code != 0 || strings.Contains(out, complaint) {
			return fmt.Errorf("worker %q: exit %d\n%s", command, code, out)
		}
	}
	return nil
}

// spilled returns nil when the worker at ops has moved messages to an overflow.
func spilled(ops string) error {
	resp, err := http.Get(ops + "/api/v1/state")
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	var state struct {
		Downstreams []struct{ Settled map[string]int }
	}
	if err := json.NewDecoder(resp.Body).Decode(&state); err != nil {
		return err
	}
	if len(state.Downstreams) == 0 || state.Downstreams[0].Settled["spill"] == 0 {
		return fmt.Errorf("nothing was spilled: %+v", state)
	}
	return nil
}

// publish publishes so many messages of each tenant, as the publisher.
func publish(t *testing.T, s *consumertest.Server, tenants map[string]int) {
	t.Helper()
	js := s.JetStream(t, nats.UserInfo("publisher", "change-me"))
	for tenant, n := range tenants {
		for range n {
			if _, err := js.PublishAsync("jobs."+tenant+".x", []byte("{}")); err != nil {
				t.Fatal(err)
			}
		}
	}
	<-js.PublishAsyncComplete()
}

func TestAPublisherMayDoNothingElse(t *testing.T) {
	s := permitted(t)
	refused := make(chan error, 8)
	nc := s.Conn(t, nats.UserInfo("publisher", "change-me"), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { refused <- err }))
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if err := nc.Publish("JOBS_OVERFLOW.worker.retry", nil); err != nil {
		t.Fatal(err)
	}
	if err := <-refused; !strings.Contains(err.Error(), "Permissions Violation") {
		t.Errorf("error %v", err)
	}
	if _, err := js.PublishAsync("$JS.API.STREAM.DELETE.JOBS", nil); err != nil {
		t.Fatal(err)
	}
	if err := <-refused; !strings.Contains(err.Error(), "Permissions Violation") {
		t.Errorf("error %v", err)
	}
}
