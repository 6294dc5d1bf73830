package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// controlled starts a worker that has a token, and returns flags to reach it with.
func controlled(t *testing.T, more ...string) (w *worker, flags []string) {
	t.Helper()
	url, _, answer := downstream(t)
	t.Cleanup(func() { close(answer) })
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	file := strings.Replace(fileWith(url, more...), `ops: {listen: "127.0.0.1:0"}`, `ops: {listen: "127.0.0.1:0", token_file: "`+token+`"}`, 1)
	w = start(t, file, "run", "--embedded", "nats")
	w.await("consuming")
	at, ok := opsURL(w)
	if !ok {
		t.Fatalf("it serves nothing:\n%s", w.errors())
	}
	return w, []string{"--ops", at, "--token-file", token}
}

func TestTenantsAreChangedThroughARunningWorker(t *testing.T) {
	_, flags := controlled(t)
	tenants := func(args ...string) (code int, stdout, stderr string) {
		t.Helper()
		return run(t, "", append(append([]string{"tenants", args[0]}, flags...), args[1:]...)...)
	}
	if code, stdout, stderr := tenants("ls"); code != exitClean || stdout != "the worker knows no tenants, and nothing is set of any\n" {
		t.Errorf("exit code is %d: %s%s", code, stdout, stderr)
	}
	if code, stdout, _ := tenants("ls", "--json"); code != exitClean || stdout != "[]\n" {
		t.Errorf("exit code is %d: %s", code, stdout)
	}
	for _, tt := range []struct {
		args []string
		want string
	}{
		{[]string{"pause", "acme", "--ttl", "1h"}, "paused for 1h0m0s"},
		{[]string{"set", "acme", "--weight", "2.5", "--max-in-flight", "4", "--rate", "100/s"}, "weight 2.5, cap 4, rate 100/s"},
		{[]string{"set", "acme", "--rate", ""}, "cap 4, no rate"},
		{[]string{"resume", "acme"}, "  weight 2.5, cap 4, no rate"},
		{[]string{"pause", "--", "-a/.. <b>"}, "-a/.. <b>"},
		{[]string{"set", "..", "--weight", "7"}, "weight 7"},
		{[]string{"reset", "acme"}, "acme  "},
	} {
		code, stdout, stderr := tenants(tt.args...)
		if code != exitClean || !strings.HasPrefix(stdout, "TENANT ") || !strings.Contains(stdout, tt.want) {
			t.Errorf("%q: exit code is %d, want something with %q:\n%s%s", tt.args, code, tt.want, stdout, stderr)
		}
	}
	code, stdout, stderr := tenants("ls", "--json")
	var states []consumer.TenantState
	if err := json.Unmarshal([]byte(stdout), &states); code != exitClean || err != nil || len(states) != 2 || states[0].Tenant != "-a/.. <b>" || !states[0].Paused || states[1].Weight != 7 {
		t.Errorf("exit code is %d: %s%s", code, stdout, stderr)
	}
	if code, stdout, stderr := tenants("set", "acme", "--weight", "5000"); code != exitUsage || stdout != "" || !strings.Contains(stderr, "400 Bad Request: weight is 5000, must be between 0.001 and 1000") {
		t.Errorf("exit code is %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := run(t, "", append([]string{"tenants", "pause", "acme"}, flags[:2]...)...); code != exitFailed || !strings.Contains(stderr, "401 Unauthorized") || !strings.Contains(stderr, "--token-file") {
		t.Errorf("without a token the exit code is %d: %s", code, stderr)
	}
}

func TestWithoutATokenNothingCanBeChanged(t *testing.T) {
	url, _, _ := downstream(t)
	w := start(t, fileWith(url), "run", "--embedded", "nats")
	w.await("consuming")
	at, _ := opsURL(w)
	if code, _, stderr := run(t, "", "tenants", "pause", "acme", "--ops", at); code != exitFailed || !strings.Contains(stderr, "403 Forbidden") || !strings.Contains(stderr, "ops.token_file") {
		t.Errorf("exit code is %d: %s", code, stderr)
	}
	if code, stdout, stderr := run(t, "", "tenants", "ls", "--ops", at); code != exitClean || !strings.Contains(stdout, "no tenants") {
		t.Errorf("exit code of ls is %d: %s%s", code, stdout, stderr)
	}
}

func TestTenantsThatAreAskedForWronglyAreExitTwo(t *testing.T) {
	for want, args := range map[string][]string{
		"nothing is to be set: give --weight":           {"set", "acme"},
		"--weight is NaN, must be a number above 0":     {"set", "acme", "--weight", "nan"},
		"--weight is -1, must be a number above 0":      {"set", "acme", "--weight=-1"},
		"--weight is +Inf, must be a number above 0":    {"set", "acme", "--weight", "inf"},
		"--max-in-flight is -2, must not be negative":   {"set", "acme", "--max-in-flight=-2"},
		"--rate is 100, which has no time; write 100/s": {"set", "acme", "--rate", "100"},
		`--rate is "often", must be a rate like 100/s`:  {"set", "acme", "--rate", "often"},
		"--ttl is 0s, must be positive":                 {"pause", "acme", "--ttl", "0s"},
		"--timeout is -1s, must be positive":            {"pause", "acme", "--timeout=-1s"},
		`tenant "" cannot be`:                           {"pause", ""},
		"--token-file: open no.token":                   {"pause", "acme", "--ops", "h:1", "--token-file", "no.token"},
		"the config file cannot be read":                {"pause", "acme"},
		`--ops is "ftp://x", must be like`:              {"ls", "--ops", "ftp://x"},
	} {
		code, stdout, stderr := run(t, "", append([]string{"tenants"}, args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code is %d, want 2 and an error with %q: %s%s", args, code, want, stdout, stderr)
		}
	}
}

func TestAWorkerThatIsAwayIsAnErrorThatSaysWhereItWasLookedFor(t *testing.T) {
	if code, stdout, stderr := run(t, "", "tenants", "pause", "acme", "--ops", taken(t)); code != exitFailed || stdout != "" || stderr == "" || strings.Contains(stderr, "no worker is at") {
		t.Errorf("of one that hangs up the exit code is %d: %s%s", code, stdout, stderr)
	}
	addr := free(t)
	for _, command := range [][]string{{"tenants", "ls"}, {"healthcheck"}} {
		for hint, args := range map[string][]string{
			"The address is from --ops.":                                     {"--ops", addr},
			"The address is ops.listen of worker.yaml; --ops gives another.": {"--set", "ops.listen=" + addr},
		} {
			code, stdout, stderr := run(t, fileWith("http://h"), append(command, args...)...)
			want := "worker: no worker is at http://" + addr + ": dial tcp " + addr + ": connect: connection refused\nIs the worker running, and does it listen there? " + hint + "\n"
			if code != exitFailed || stdout != "" || stderr != want {
				t.Errorf("%q %q: exit code is %d: %s%swant %s", command, args, code, stdout, stderr, want)
			}
		}
		code, _, stderr := run(t, fileWith("http://h"), command...)
		if code != exitUsage || !strings.Contains(stderr, "ops.listen is 127.0.0.1:0, so the system chose the port: give the address that the worker logged with --ops") {
			t.Errorf("%q of any port: exit code is %d: %s", command, code, stderr)
		}
	}
}

// free returns an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// rewrite replaces the config of a worker and asks it to reload.
func (w *worker) rewrite(config string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.cmd.Dir, "worker.yaml"), []byte(config), 0o600); err != nil {
		w.t.Fatal(err)
	}
	w.signal(syscall.SIGHUP)
}

func TestHangupReloadsTheConfig(t *testing.T) {
	url, arrived, answer := downstream(t)
	w := start(t, fileWith(url, "workers: 1"), "run", "--embedded", "nats")
	js := w.connect()
	w.await("consuming")
	at, _ := opsURL(w)
	for range 3 {
		if _, err := js.Publish(t.Context(), "jobs.acme.x", nil); err != nil {
			t.Fatal(err)
		}
	}
	<-arrived
	metric := func(want string) {
		t.Helper()
		if body := fetch(t, at+"/metrics"); !strings.Contains(body, want+"\n") {
			t.Errorf("the metrics do not hold %q:\n%s", want, body)
		}
	}
	metric(`spillway_config_last_reload_successful{durable="worker",stream="JOBS"} 1`)

	w.rewrite(strings.Replace(fileWith(url, "workers: 2", "buffer: {messages: 99}", "ack_wait: 1m"), "durable: worker", "durable: other", 1))
	line := w.await("the config was not reloaded: the worker goes on as it is")
	for _, want := range []string{"worker.yaml:3:10: durable cannot be changed while the worker runs", "buffer.messages cannot be changed", "ack_wait cannot be changed"} {
		if text, _ := line["error"].(string); !strings.Contains(text, want) {
			t.Errorf("the error is %q, want it to tell %q", text, want)
		}
	}
	metric(`spillway_config_last_reload_successful{durable="worker",stream="JOBS"} 0`)
	metric(`spillway_workers{durable="worker",stream="JOBS"} 1`)

	w.rewrite(fileWith(url, "workers: many"))
	w.await("the config was not reloaded: the worker goes on as it is")
	w.rewrite("stream: [")
	w.await("the config was not reloaded: the worker goes on as it is")

	w.rewrite(fileWith(url, "workers: 3", "retry: {max_attempts: 2}", "tenants: {default: {max_in_flight: 2}}", "downstreams: {default: {rate: 1000/s}}"))
	w.await("the config was reloaded")
	<-arrived // the second, of the cap of 2
	metric(`spillway_config_last_reload_successful{durable="worker",stream="JOBS"} 1`)
	metric(`spillway_workers{durable="worker",stream="JOBS"} 3`)
	w.rewrite(strings.Replace(fileWith(url, "workers: 3"), "log: {format: json}", "log: {format: json, level: debug}", 1))
	if got := w.await("the config was reloaded")["level"]; got != "debug" {
		t.Errorf("the level is %v", got)
	}
	<-arrived // the third, without a cap
	for range 3 {
		answer <- http.StatusOK
	}
	w.signal(syscall.SIGTERM)
	if code := w.exit(); code != exitClean {
		t.Errorf("exit code is %d:\n%s", code, w.errors())
	}
}

func fetch(t *testing.T, url string) string {
	t.Helper()
	client := http.Client{Timeout: 10 * time.Second}
	resp, err := client.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var text strings.Builder
	if _, err := io.Copy(&text, resp.Body); err != nil {
		t.Fatal(err)
	}
	return text.String()
}
