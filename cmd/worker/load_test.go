package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/internal/load"
)

func TestLoadOverHTTPTellsWhatItSaw(t *testing.T) {
	var served atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served.Add(1) }))
	defer server.Close()
	dir := t.TempDir()
	svg, hdr := filepath.Join(dir, "plot.svg"), filepath.Join(dir, "latency.hdr")
	code, stdout, stderr := run(t, "", "load", server.URL+"/{tenant}", "--stage", "200/s:300ms", "--stage", "200/s..400/s:200ms", "--poisson",
		"--tenants", "acme=3,globex=1", "--compare-closed", "--svg", svg, "--hdr", hdr)
	for _, want := range []string{"scheduled in", "200/s..400/s:200ms", "\"acme\"", "OPEN LOOP", "coordination", "p99.9"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("it does not say %q:\n%s", want, stdout)
		}
	}
	// Whether a run is valid depends on the machine: the exit code says the same as the text.
	if valid := strings.Contains(stdout, "The run is valid"); valid != (code == exitClean) || !valid && code != exitFailed || served.Load() == 0 {
		t.Errorf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	for name, want := range map[string]string{svg: "closed loop", hdr: "1/(1-Percentile)"} {
		if text, err := os.ReadFile(name); err != nil || !strings.Contains(string(text), want) {
			t.Errorf("%s holds %q (%v)", name, text, err)
		}
	}
	if strings.ContainsAny(stdout+stderr, "\x1b\r") {
		t.Errorf("progress is shown to a file:\n%q%q", stdout, stderr)
	}
}

func TestLoadOfJetStreamIsUntilTheWorkerHasHandledIt(t *testing.T) {
	handlers := `handlers: [{subject: "jobs.*.x", discard: {delay: 20ms}}, {subject: "jobs.*.bad", exec: {command: [sh, -c, "exit 65"]}}]`
	lines := strings.Split(fileWith("http://h"), "\n")
	w := start(t, strings.Join(append(lines[:len(lines)-2], handlers), "\n"), "run", "--embedded", "nats")
	js := w.connect()
	w.await("consuming")
	type report struct {
		Open struct {
			OK, Failed int64
			Latency    struct{ Quantiles map[string]float64 }
			Failures   []struct{ Error string }
		}
	}
	loaded := func(subject string) (code int, r report, stderr string) {
		code, stdout, stderr := run(t, fileWith("http://h"), "load", "--set", "nats.url="+js.Conn().ConnectedUrl(),
			"--subject", subject, "--tenants", "3", "--rate", "100/s", "--duration", "500ms", "--timeout", "30s", "--json")
		if err := json.Unmarshal([]byte(stdout), &r); err != nil {
			t.Fatalf("%v:\n%s%s", err, stdout, stderr)
		}
		return code, r, stderr
	}
	if _, r, stderr := loaded("jobs.{tenant}.x"); r.Open.OK != 50 || r.Open.Latency.Quantiles["p50"] < 0.020 {
		t.Errorf("of 50 messages whose handler takes 20 ms: %+v\n%s", r.Open, stderr)
	}
	code, r, stderr := loaded("jobs.{tenant}.bad")
	if r.Open.Failed != 50 || len(r.Open.Failures) != 1 || r.Open.Failures[0].Error != "dead-lettered: permanent" {
		t.Errorf("of 50 messages that are dead-lettered: %+v", r.Open)
	}
	if code != exitFailed || !strings.Contains(stderr, "not valid") {
		t.Errorf("exit code is %d: %s", code, stderr)
	}
}

func TestASignalEndsLoadWithTheAccountSoFar(t *testing.T) {
	arrived := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case arrived <- struct{}{}:
		default:
		}
	}))
	defer server.Close()
	w := start(t, "", "load", server.URL, "--rate", "50/s", "--duration", "1h", "--compare-closed")
	<-arrived
	w.signal(syscall.SIGINT)
	code := w.exit()
	if out := w.stdout.String(); code != exitClean && code != exitFailed || !strings.Contains(out, "was ended before it was over") || strings.Contains(out, "CLOSED") {
		t.Errorf("exit code is %d:\n%s%s", code, out, w.errors())
	}
}

func TestLoadRefusesWhatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, "either a URL or --subject", nil},
		{exitUsage, "either a URL or --subject", []string{"http://h", "--subject", "x"}},
		{exitUsage, "ftp://h", []string{"ftp://h"}},
		{exitUsage, "no rate", []string{"http://h", "--rate", "fast"}},
		{exitUsage, "no stage", []string{"http://h", "--stage", "100/s"}},
		{exitUsage, "no rate, it lacks the time: write 100/s for", []string{"http://h", "--rate", "100"}},
		{exitUsage, "worker: URL is \"ftp://h\": must be like", []string{"ftp://h"}},
		{exitUsage, "worker: --method is \"A B\": must be", []string{"http://h", "--method", "A B"}},
		{exitUsage, "worker: --timeout is -1s: must be", []string{"http://h", "--timeout=-1s"}},
		{exitUsage, "its time is 0s: must be", []string{"http://h", "--stage", "100/s:0s"}},
		{exitUsage, "worker: --tenants is \"a\": must be a name that no other has", []string{"http://h/{tenant}", "--tenants", "a,a"}},
		{exitUsage, "--subject is \"jobs.*\", must be one subject", []string{"--subject", "jobs.*"}},
		{exitUsage, "--subject is \"jobs..x\", must be one subject", []string{"--subject", "jobs..x"}},
		{exitUsage, "worker: --duration is -1s: must be", []string{"http://h", "--duration=-1s"}},
		{exitUsage, "--max-in-flight is -1", []string{"http://h", "--max-in-flight=-1"}},
		{exitUsage, "--zipf", []string{"http://h/{tenant}", "--tenants", "a,b", "--zipf", "1"}},
		{exitUsage, "{tenant} is in neither", []string{"http://h", "--tenants", "9"}},
		{exitUsage, "--body and --size", []string{"http://h", "--body", "x", "--size", "9"}},
		{exitUsage, "--svg: open", []string{"http://h", "--svg", "no/such/dir.svg"}},
		{exitFailed, "nobody is at 127.0.0.1:1", []string{"http://127.0.0.1:1"}},
		{exitUsage, "worker.yaml", []string{"--subject", "x"}},
	} {
		code, stdout, stderr := run(t, "", append([]string{"load"}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("load %q: exit code is %d, want %d and %q:\n%s%s", tt.args, code, tt.code, tt.want, stdout, stderr)
		}
	}
}

func TestASubjectThatNobodyTakesIsRefusedBeforeTheLoad(t *testing.T) {
	w := start(t, fileWith("http://h", "filter_subjects: [jobs.*.x]"), "run", "--embedded", "nats")
	js := w.connect()
	w.await("consuming")
	for want, args := range map[string][]string{
		`--subject: stream JOBS takes jobs.>, and not "nobody.x": nothing would be stored`:   {"--subject", "nobody.x"},
		`--subject: stream JOBS takes jobs.>, and not "globex.x": nothing would be stored`:   {"--subject", "{tenant}.x", "--tenants", "jobs,globex"},
		`--subject: durable worker takes jobs.*.x, and not "jobs.y": nobody would handle it`: {"--subject", "jobs.y"},
		`stream NONE does not exist; there are the streams JOBS, JOBS_DEAD, JOBS_OVERFLOW`:   {"--subject", "jobs.y", "--set", "stream=NONE"},
		`durable other does not exist on stream JOBS; there are the durables worker`:         {"--subject", "jobs.y", "--set", "durable=other"},
	} {
		code, stdout, stderr := run(t, fileWith("http://h"), append([]string{"load", "--set", "nats.url=" + js.Conn().ConnectedUrl()}, args...)...)
		if code == exitClean || strings.Contains(want, "--subject") && code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code is %d, want %q:\n%s%s", args, code, want, stdout, stderr)
		}
	}
	if s, err := js.Stream(t.Context(), "JOBS"); err != nil || s.CachedInfo().State.LastSeq != 0 {
		t.Errorf("something was published (%v)", err)
	}
}

func TestTheProgressOfLoadFitsIntoALine(t *testing.T) {
	line := progressLine(load.Progress{
		Elapsed: 12_345 * time.Millisecond, Total: 30 * time.Second, Rate: 20_000, Sent: 19_999.6, Done: 18_000,
		InFlight: 2000, P99: 1234 * time.Millisecond, LagP99: 123 * time.Microsecond,
	})
	if want := "12.3s/30s  20000/s of 20000/s sent, 18000/s done  2000 in flight  p99 1.2s  lag p99 123µs"; line != want {
		t.Errorf("it is %q, want %q", line, want)
	}
	line = progressLine(load.Progress{Account: load.Account{Failed: 3, Dropped: 4}})
	if !strings.HasSuffix(line, "  3 failed  4 dropped") {
		t.Errorf("it is %q", line)
	}
}
