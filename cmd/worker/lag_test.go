package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

func TestLagTellsWhatIsToBeDone(t *testing.T) {
	_, js, answer := busy(t, "buffer: {messages: 4}", "workers: 1")
	for _, tenant := range []string{"acme", "globex", "globex", "gl\x1bobex"} {
		if _, err := js.Publish(t.Context(), "jobs."+tenant+".x", nil); err != nil {
			t.Fatal(err)
		}
	}
	lag := func(args ...string) (int, string, string) {
		return run(t, fileWith("http://h"), append([]string{"lag", "--set", "nats.url=" + js.Conn().ConnectedUrl()}, args...)...)
	}
	code, stdout, stderr := lag("--json")
	var report struct{ Backlog int }
	if err := json.Unmarshal([]byte(stdout), &report); err != nil || code != exitClean || report.Backlog != 5 {
		t.Errorf("exit code is %d, backlog %d (%v):\n%s%s", code, report.Backlog, err, stdout, stderr)
	}
	code, stdout, stderr = lag()
	if code != exitClean || !strings.Contains(stdout, "globex") || !strings.Contains(stdout, "5 messages") || strings.Contains(stdout, "\x1b") {
		t.Errorf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	if code, _, _ := lag("--messages", "0"); code != exitUsage {
		t.Errorf("exit code of a bound of 0 is %d", code)
	}
	for range 5 {
		answer <- http.StatusOK
	}
}
