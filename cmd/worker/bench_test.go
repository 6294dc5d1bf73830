package main

import (
	"encoding/json"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/internal/scenario"
)

func TestBenchListsItsScenarios(t *testing.T) {
	code, stdout, stderr := run(t, "", "bench", "--list")
	if code != exitClean {
		t.Fatalf("exit code is %d: %s", code, stderr)
	}
	for _, s := range scenario.All() {
		if !strings.Contains(stdout, s.Name) || !strings.Contains(stdout, s.Claim) {
			t.Errorf("it does not list %s:\n%s", s.Name, stdout)
		}
	}
	code, stdout, stderr = run(t, "", "bench", "--list", "--json", "--only", "whale")
	var listed []map[string]string
	if err := json.Unmarshal([]byte(stdout), &listed); err != nil || code != exitClean || len(listed) != 1 || listed[0]["embedded_only"] == "" {
		t.Errorf("exit code is %d (%v):\n%s%s", code, err, stdout, stderr)
	}
}

func TestBenchTellsWhatItFound(t *testing.T) {
	t.Parallel() // it mostly waits
	code, stdout, stderr := run(t, "", "bench", "--only", "weights,two-processes", "--scale", "0.02", "--json")
	var report scenario.Report
	if err := json.Unmarshal([]byte(stdout), &report); err != nil {
		t.Fatalf("%v:\n%s%s", err, stdout, stderr)
	}
	// Whether weights hold at such a scale depends on the machine: the exit code says the same as the rows.
	if want := map[bool]int{true: exitClean, false: exitFailed}[report.Holds()]; code != want {
		t.Errorf("exit code is %d, want %d:\n%s%s", code, want, stdout, stderr)
	}
	ran := make(map[string]int)
	for _, row := range report.Rows {
		ran[row.Scenario]++
		if row.Exact && row.Verdict != scenario.OK {
			t.Errorf("%+v", row)
		}
	}
	if len(ran) != 2 || ran["weights"] == 0 || ran["two-processes"] == 0 || report.Machine.Cores == 0 || !report.Embedded || report.Seed != 1 {
		t.Errorf("the report is %+v", report)
	}
	if !strings.Contains(stderr, "weights") || strings.ContainsAny(stderr, "\x1b\r") {
		t.Errorf("progress is %q", stderr)
	}
}

func TestBenchOnAServerOfTheUsersLeavesNothingThere(t *testing.T) {
	t.Parallel() // it mostly waits
	server := consumertest.NewServer(t, consumertest.WithListen())
	server.Stream(t, "THEIRS", "theirs.>")
	code, stdout, stderr := run(t, "", "bench", "--url", server.URL(t), "--only", "drain,whale", "--scale", "0.05", "--markdown")
	if !strings.Contains(stdout, "| drain | ") || !strings.Contains(stdout, "| skipped |") || !strings.Contains(stdout, "a server of the user's") {
		t.Errorf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	for name := range server.JetStream(t).StreamNames(t.Context()).Name() {
		if name != "THEIRS" {
			t.Errorf("left behind is %s", name)
		}
	}
}

func TestASignalEndsBenchAndLeavesNothing(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	w := start(t, "", "bench", "--only", "weights,drain")
	for deadline := time.Now().Add(patience); !strings.Contains(w.errors(), "weights"); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it does not tell its progress: %q", w.errors())
		}
	}
	w.signal(syscall.SIGINT)
	if code := w.exit(); code != exitFailed || !strings.Contains(w.stdout.String(), "BROKEN OFF") {
		t.Errorf("exit code is %d:\n%s%s", code, w.stdout.String(), w.errors())
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("left behind is %v (%v)", left, err)
	}
}

func TestBenchRefusesWhatCannotBe(t *testing.T) {
	for _, tt := range []struct {
		code int
		want string
		args []string
	}{
		{exitUsage, `there is no scenario "flod"; did you mean "flood"?`, []string{"--only", "flod"}},
		{exitUsage, `there is no scenario "nothing-like-it"; known are throughput,`, []string{"--only", "nothing-like-it"}},
		{exitUsage, `--only is "", must be one or more, with commas, of throughput,`, []string{"--only", ""}},
		{exitUsage, `--only is "", must be one or more, with commas, of throughput,`, []string{"--only=", "--list"}},
		{exitUsage, `--only is "flood,", must be one or more`, []string{"--only", "flood,"}},
		{exitUsage, "--json and --markdown", []string{"--json", "--markdown"}},
		{exitUsage, "--credentials are for --url", []string{"--credentials", "x"}},
		{exitUsage, "--scale is -1", []string{"--scale=-1"}},
		{exitUsage, "no/such", []string{"--url", "nats://127.0.0.1:1", "--credentials", "no/such"}},
		{exitUnreachable, "cannot connect to NATS at nats://127.0.0.1:1", []string{"--url", "nats://127.0.0.1:1"}},
	} {
		code, stdout, stderr := run(t, "", append([]string{"bench"}, tt.args...)...)
		if code != tt.code || !strings.Contains(stderr, tt.want) {
			t.Errorf("bench %q: exit code is %d, want %d and %q:\n%s%s", tt.args, code, tt.code, tt.want, stdout, stderr)
		}
	}
}
