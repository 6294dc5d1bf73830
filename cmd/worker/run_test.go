package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
)

// fileWith returns a config of an embedded server on any port, with one http handler.
func fileWith(url string, more ...string) string {
	return strings.Join(append([]string{
		`nats: {url: "nats://127.0.0.1:0"}`,
		`stream: JOBS`,
		`durable: worker`,
		`subjects: [jobs.>]`,
		`tenant: {subject_token: 2}`,
		`ops: {listen: "127.0.0.1:0"}`,
		`log: {format: json}`,
		`handlers: [{subject: "jobs.>", http: {url: "` + url + `"}}]`,
	}, more...), "\n") + "\n"
}

// downstream is a server whose requests wait until they are answered.
func downstream(t *testing.T) (url string, arrived <-chan string, answer chan<- int) {
	t.Helper()
	requests, answers := make(chan string, 16), make(chan int, 16)
	ended := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r.Header.Get("Spillway-Tenant") + ":" + string(body)
		select {
		case status := <-answers:
			w.WriteHeader(status)
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(ended) })
	return s.URL, requests, answers
}

// busy starts a worker whose one message is being handled.
func busy(t *testing.T, more ...string) (w *worker, js jetstream.JetStream, answer chan<- int) {
	t.Helper()
	url, arrived, answer := downstream(t)
	w = start(t, fileWith(url, more...), "run", "--embedded", "nats")
	js = w.connect()
	w.await("consuming")
	if _, err := js.Publish(t.Context(), "jobs.acme.x", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := <-arrived; got != "acme:hello" {
		t.Fatalf("request is %q", got)
	}
	return w, js, answer
}

func TestSignalDrainsAndExitsClean(t *testing.T) {
	for _, sig := range []os.Signal{syscall.SIGTERM, syscall.SIGINT} {
		w, _, answer := busy(t)
		w.signal(sig)
		w.await("draining")
		answer <- http.StatusOK
		if line := w.await("drained"); line["not_settled"] != 0.0 {
			t.Errorf("%v: %v", sig, line)
		}
		if code := w.exit(); code != exitClean {
			t.Errorf("%v: exit code is %d", sig, code)
		}
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	for sig, want := range map[os.Signal]int{syscall.SIGINT: 130, syscall.SIGTERM: 143} {
		w, _, _ := busy(t)
		w.signal(syscall.SIGTERM)
		w.await("draining")
		w.signal(sig)
		if code := w.exit(); code != want {
			t.Errorf("%v: exit code is %d, want %d", sig, code, want)
		}
	}
}

func TestDrainThatRunsOutOfTimeHasItsExitCode(t *testing.T) {
	w, _, _ := busy(t, "drain_timeout: 50ms")
	w.signal(syscall.SIGTERM)
	if line := w.await("the drain ran out of time: what still runs is ended, and given to other processes"); line["running"] != 1.0 {
		t.Errorf("%v", line)
	}
	if line := w.await("drained, with runs that were ended early"); line["not_settled"] != 0.0 {
		t.Errorf("%v", line)
	}
	if line := w.await("the worker ended before its work was done"); line["hint"] == nil || line["exit_code"] != 4.0 {
		t.Errorf("%v", line)
	}
	if code := w.exit(); code != exitDrain {
		t.Errorf("exit code is %d:\n%s", code, w.errors())
	}
}

func TestWrongUseIsExitTwo(t *testing.T) {
	for name, tt := range map[string]struct {
		config string
		args   []string
		want   string
	}{
		"unknown command":  {"", []string{"rn"}, `did you mean "run"?`},
		"unknown flag":     {"", []string{"run", "--embeddd", "x"}, "did you mean \"--embedded\"?"},
		"missing file":     {"", []string{"run"}, "the config file cannot be read: stat worker.yaml: no such file"},
		"wrong file":       {"stream: [", []string{"run"}, "worker.yaml:1:9: "},
		"ambiguous routes": {"stream: J\ndurable: d\nhandlers:\n- {subject: a.*, discard: {}}\n- {subject: \"*.b\", discard: {}}\n", []string{"validate"}, `worker.yaml:5:13: routes "a.*" and "*.b" are ambiguous`},
		"missing command":  {"stream: J\ndurable: d\nhandlers: [{subject: a, exec: {command: [./nothing]}}]\n", []string{"run"}, `worker.yaml:3:31: handlers[0].exec: command: exec: "./nothing"`},
		"missing creds":    {fileWith("http://h", "nats.credentials: x"), []string{"run"}, `unknown key "nats.credentials"`},
		"creds not there":  {fileWith("http://h"), []string{"run", "--set", "nats.credentials=no.creds"}, "nats.credentials: file cannot be used: no.creds"},
		"token not there":  {fileWith("http://h"), []string{"run", "--embedded=d", "--set", "ops.token_file=no.token"}, "ops.token_file: open no.token"},
		"embedded and TLS": {fileWith("http://h"), []string{"run", "--embedded=d", "--set", "nats.domain=hub"}, "--embedded cannot be used with"},
	} {
		code, _, stderr := run(t, tt.config, tt.args...)
		if code != exitUsage || !strings.Contains(stderr, tt.want) {
			t.Errorf("%s: exit code is %d, want 2, and the error must tell %q:\n%s", name, code, tt.want, stderr)
		}
	}
}

func TestWithoutACommandTheHelpIsShown(t *testing.T) {
	for args, want := range map[string]string{"": "Commands:\n  run ", "dlq": "Commands:\n  dlq ls "} {
		code, stdout, stderr := run(t, "", strings.Fields(args)...)
		_, help, _ := run(t, "", append(strings.Fields(args), "--help")...)
		if code != exitUsage || stdout != help || !strings.Contains(stdout, want) || stderr != "worker: a command is missing\n" {
			t.Errorf("worker %s: exit code is %d: %s%s", args, code, stdout, stderr)
		}
	}
}

func TestUnreachableServerIsExitThree(t *testing.T) {
	addr := taken(t)
	for _, command := range []string{"run", "lag"} {
		code, _, stderr := run(t, fileWith("http://h"), command, "--set", "nats.url=nats://bob:secret@"+addr)
		if code != exitUnreachable || !strings.Contains(stderr, "nats://***@"+addr) || strings.Contains(stderr, "secret") || !strings.Contains(stderr, "Is a server running there?") {
			t.Errorf("%s: exit code is %d:\n%s", command, code, stderr)
		}
	}
}

func TestWhatIsWrongWithTheServerIsHintedAt(t *testing.T) {
	for _, tt := range []struct {
		options server.Options
		code    int
		want    string
	}{
		{server.Options{Username: "bob", Password: "secret"}, exitUnreachable, "Look at nats.credentials"},
		{server.Options{}, exitFailed, "Is JetStream enabled on the server"},
	} {
		tt.options.Host, tt.options.Port, tt.options.NoSigs = "127.0.0.1", server.RANDOM_PORT, true
		s, err := server.NewServer(&tt.options)
		if err != nil {
			t.Fatal(err)
		}
		s.Start()
		t.Cleanup(s.Shutdown)
		if !s.ReadyForConnections(patience) {
			t.Fatal("the server is not ready")
		}
		for _, command := range []string{"run", "lag"} {
			code, _, stderr := run(t, fileWith("http://h"), command, "--set", "nats.url="+s.ClientURL())
			if code != tt.code || !strings.Contains(stderr, tt.want) {
				t.Errorf("%s: exit code is %d, want %d and %q:\n%s", command, code, tt.code, tt.want, stderr)
			}
		}
	}
}

func TestTakenPortsAreExitOne(t *testing.T) {
	addr := taken(t)
	for _, set := range []string{"ops.listen=" + addr, "nats.url=nats://" + addr} {
		code, _, stderr := run(t, fileWith("http://h"), "run", "--embedded", "nats", "--set", set)
		if code != exitFailed || !strings.Contains(stderr, "address already in use") {
			t.Errorf("%s: exit code is %d:\n%s", set, code, stderr)
		}
	}
}

// taken returns an address that something listens on that is no NATS server.
func taken(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.Close()
		}
	}()
	return l.Addr().String()
}

func TestMissingStreamIsExitOne(t *testing.T) {
	code, _, stderr := run(t, fileWith("http://h"), "run", "--embedded", "nats", "--set", "subjects=", "--set", "stream=NONE")
	if code != exitFailed || !strings.Contains(stderr, "NONE") {
		t.Errorf("exit code is %d:\n%s", code, stderr)
	}
}

func TestHealthcheckAsksTheWorker(t *testing.T) {
	w, _, answer := busy(t)
	url, _ := opsURL(w)
	for _, args := range [][]string{{"healthcheck", "--ops", url}, {"healthcheck", "--live", "--ops", strings.TrimPrefix(url, "http://")}} {
		if code, stdout, stderr := run(t, "", args...); code != exitClean || stdout != "ok\n" {
			t.Errorf("%q: exit code is %d, answer %q: %s", args, code, stdout, stderr)
		}
	}
	answer <- http.StatusOK
	w.signal(syscall.SIGTERM)
	if code := w.exit(); code != exitClean {
		t.Errorf("exit code is %d", code)
	}
	if code, _, stderr := run(t, fileWith("http://h"), "healthcheck", "--set", "ops.listen="+strings.TrimPrefix(url, "http://")); code != exitFailed || !strings.Contains(stderr, "connection refused") {
		t.Errorf("exit code of a worker that is gone is %d: %s", code, stderr)
	}
}

// opsURL finds where w's operations endpoint is among what it logged.
func opsURL(w *worker) (string, bool) {
	for line := range strings.Lines(w.errors()) {
		if _, after, ok := strings.Cut(line, `"operations endpoint is ready","url":"`); ok {
			url, _, _ := strings.Cut(after, `"`)
			return url, true
		}
	}
	return "", false
}

func TestMetricsAreServed(t *testing.T) {
	w, _, answer := busy(t)
	url, _ := opsURL(w)
	resp, err := http.Get(url + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	if !strings.Contains(string(body), `spillway_in_flight{durable="worker",stream="JOBS"} 1`) {
		t.Errorf("metrics are:\n%s", body)
	}
	answer <- http.StatusOK
}
