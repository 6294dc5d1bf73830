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

func TestValidateRefusesWhatRunWould(t *testing.T) {
	for _, command := range []string{"run", "validate"} {
		for name, tt := range map[string]struct{ set, want string }{
			"token not there":      {"ops.token_file=no.token", "ops.token_file: open no.token"},
			"two tokens":           {"ops.token_file=worker.yaml", "ops.token_file: worker.yaml must hold one token"},
			"no credentials in it": {"nats.credentials=worker.yaml", "nats.credentials: file cannot be used: worker.yaml"},
			"no certificate in it": {"nats.tls.ca=worker.yaml", "nats.tls.ca: file cannot be used: worker.yaml"},
		} {
			code, stdout, stderr := run(t, fileWith("http://h"), command, "--set", tt.set)
			if code != exitUsage || stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("%s, %s: exit code is %d, want 2 and an error with %q:\n%s%s", command, name, code, tt.want, stdout, stderr)
			}
		}
		file := `
stream: J
durable: d
handlers:
  - {subject: a, exec: {command: [./nothing]}}
  - {subject: b, exec: {command: [./worker.yaml]}}
  - {subject: c, exec: {command: [sh, -c, "true"]}}
  - {subject: d, http: {url: "http://h", headers: {Authorization: {file: no.token}}}}
`
		code, _, stderr := run(t, file, command)
		want := []string{
			`worker.yaml:5:24: handlers[0].exec: command: exec: "./nothing": stat ./nothing: no such file or directory`,
			`worker.yaml:6:24: handlers[1].exec: command: exec: "./worker.yaml": permission denied`,
			`worker.yaml:8:24: handlers[3].http: headers: Authorization: open no.token: no such file or directory`,
		}
		if code != exitUsage || stderr != strings.Join(want, "\n")+"\n" {
			t.Errorf("%s: exit code is %d, all that is missing is told as\n%swant\n%s", command, code, stderr, strings.Join(want, "\n"))
		}
		if command == "validate" {
			if code, _, stderr := run(t, file, command, "--file-only"); code != exitClean || stderr != "" {
				t.Errorf("exit code of the file alone is %d: %s", code, stderr)
			}
		}
	}
}

func TestValidateTellsAllThatIsWrongAtOnce(t *testing.T) {
	file := `
stream: J
durable: d
workers: many
retry: {max_attemps: 3}
tenants: {default: {rate: 100}}
ops: {token_file: no.token}
handlers:
- {subject: a.*, exec: {command: [./nothing]}}
- {subject: "*.b", http: {url: "ftp://h"}}
- {subject: c, http: {url: "http://h", timeout: -1s}}
- {subject: "", discard: {}}
- {subject: e, exec: {command: []}}
- {subject: f, http: {url: "http://h", headers: {Authorization: {file: no.header}}}}
`
	want := []string{
		`worker.yaml:4:10: workers is "many", must be a whole number`,
		`worker.yaml:5:9: unknown key "retry.max_attemps" (did you mean "max_attempts"?)`,
		`worker.yaml:6:27: tenants.default.rate is 100, which has no time; write 100/s for so many a second`,
		`worker.yaml:9:24: handlers[0].exec: command: exec: "./nothing": stat ./nothing: no such file or directory`,
		`worker.yaml:10:13: routes "a.*" and "*.b" are ambiguous: both match "a.b", and neither is more specific; add a route for it`,
		`worker.yaml:10:32: handlers[1].http.url is "ftp://h", must be like http://127.0.0.1:9000/path`,
		`worker.yaml:11:49: handlers[2].http.timeout is -1s, must not be negative`,
		`worker.yaml:12:3: handlers[3].subject is required`,
		`worker.yaml:13:22: handlers[4].exec.command is required, like ["./resize", "--fast"]`,
		`worker.yaml:14:22: handlers[5].http: headers: Authorization: open no.header: no such file or directory`,
		`ops.token_file: open no.token: no such file or directory`,
	}
	code, stdout, stderr := run(t, file, "validate")
	if code != exitUsage || stdout != "" || stderr != strings.Join(want, "\n")+"\n" {
		t.Errorf("exit code is %d, and it tells\n%swant\n%s", code, stdout+stderr, strings.Join(want, "\n"))
	}
	code, stdout, stderr = run(t, "stream: [\nhandlers: 3\n", "validate")
	if code != exitUsage || stdout != "" || strings.Count(stderr, "\n") != 1 {
		t.Errorf("of what is no YAML: exit code is %d, and it tells more than that\n%s", code, stdout+stderr)
	}
}

func TestValidateWarnsOfWhatIsHardlyMeant(t *testing.T) {
	t.Setenv("SPILLWAY_WORKRES", "8")
	code, stdout, stderr := run(t, fileWith("http://h"), "validate", "--set", "filter_subjects=job.>")
	if code != exitClean || stdout != "worker.yaml is valid\n" || !strings.Contains(stderr, "SPILLWAY_WORKRES: warning: ignored") || !strings.Contains(stderr, "matches nothing that is taken") {
		t.Errorf("exit code is %d: %s%s", code, stdout, stderr)
	}
}

func TestValidateAndVersion(t *testing.T) {
	if code, stdout, stderr := run(t, fileWith("http://bob:secret@h"), "validate"); code != exitClean || stdout != "worker.yaml is valid\n" {
		t.Errorf("exit code is %d: %q %q", code, stdout, stderr)
	}
	if code, stdout, _ := run(t, fileWith("http://bob:secret@h"), "validate", "--print"); code != exitClean || !strings.Contains(stdout, "ack_wait: 30s") || strings.Contains(stdout, "secret") {
		t.Errorf("exit code is %d: %q", code, stdout)
	}
	if code, stdout, _ := run(t, "", "version", "--json"); code != exitClean || !strings.HasPrefix(stdout, `{"version":"`) {
		t.Errorf("exit code is %d: %q", code, stdout)
	}
	if code, stdout, _ := run(t, "", "--help"); code != exitClean || !strings.Contains(stdout, "Usage: worker") {
		t.Errorf("exit code is %d: %q", code, stdout)
	}
}
