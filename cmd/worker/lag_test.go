package main

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/spillwaymq/spillway/cmd/worker/internal/lag"
	"github.com/spillwaymq/spillway/consumer"
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

func TestABacklogThatWorkersHoldIsNotCalledNothing(t *testing.T) {
	_, js, answer := busy(t)
	code, stdout, stderr := run(t, fileWith("http://h"), "lag", "--set", "nats.url="+js.Conn().ConnectedUrl())
	if code != exitClean || !strings.Contains(stdout, "by tenant: nothing is pending; 1 unacknowledged") {
		t.Errorf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	answer <- http.StatusOK
}

func TestWhereNoTenantHasACountTheReasonIsSaid(t *testing.T) {
	report := func(held uint64, backlog uint64, tenants lag.Tenants) lag.Report {
		return lag.Report{Backlog: backlog, Lanes: []lag.Lane{{Lane: consumer.LaneMain, AckPending: held}}, Tenants: tenants}
	}
	counted := lag.Tenants{Counts: []lag.TenantCount{{Tenant: "acme", Messages: 7}}, Counted: 7}
	withUnacked := counted
	withUnacked.Unacknowledged = true
	for _, tt := range []struct {
		name   string
		report lag.Report
		want   string
	}{
		{"idle", report(0, 0, lag.Tenants{}), "by tenant: nothing is pending\n"},
		{"held", report(5, 5, lag.Tenants{}), "by tenant: nothing is pending; " + withWorkers(5) + "\n"},
		{"on other lanes", report(0, 3, lag.Tenants{}), "by tenant: nothing is pending on lane main, the backlog is on the others\n"},
		{"no time to count", report(0, 9, lag.Tenants{Cut: "stopped after 1ns"}), "by tenant: none was counted: stopped after 1ns\n"},
		{"cannot be told", report(5, 5, lag.Tenants{Missing: "no"}), "by tenant: no\n"},
		{"pending", report(0, 7, counted), "TENANT\tPENDING\nacme\t7\n"},
		{"pending and held", report(5, 12, counted), "TENANT\tPENDING\nacme\t7\n\nbesides, " + withWorkers(5) + "\n"},
		{"counted with what is held", report(5, 7, withUnacked), "TENANT\tPENDING AND UNACKED\nacme\t7\n"},
	} {
		var text strings.Builder
		printTenants(&text, tt.report)
		if text.String() != tt.want {
			t.Errorf("%s: it says\n%swant\n%s", tt.name, &text, tt.want)
		}
	}
}
