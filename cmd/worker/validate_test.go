package main

import (
	"strings"
	"testing"
)

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
retry: {max_attmpts: 3}
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
		`worker.yaml:5:9: unknown key "retry.max_attmpts" (did you mean "max_attempts"?)`,
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
