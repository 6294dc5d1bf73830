package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHealthcheckSendsItsToken(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/gone/readyz":
			http.Redirect(w, r, "/login", http.StatusFound)
		case r.URL.Path == "/login", r.Header.Get("Authorization") == "Bearer s3cret":
			_, _ = w.Write([]byte("ok\n"))
		default:
			http.Error(w, "who is there\x1b[31m", http.StatusUnauthorized)
		}
	}))
	t.Cleanup(s.Close)
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(" s3cret\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, stdout, stderr := run(t, "", "healthcheck", "--ops", s.URL, "--token-file", file); code != exitClean || stdout != "ok\n" {
		t.Errorf("exit code is %d: %s%s", code, stdout, stderr)
	}
	if code, _, stderr := run(t, "", "healthcheck", "--ops", s.URL); code != exitFailed || !strings.Contains(stderr, "401 Unauthorized: \"who") || strings.Contains(stderr, "\x1b") {
		t.Errorf("exit code without a token is %d: %q", code, stderr)
	}
	if code, _, stderr := run(t, "", "healthcheck", "--ops", s.URL+"/gone"); code != exitFailed || !strings.Contains(stderr, "302 Found") {
		t.Errorf("exit code of a redirect is %d: %s", code, stderr)
	}
}

func TestHealthcheckThatIsAskedWronglyIsExitTwo(t *testing.T) {
	empty := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(empty, []byte("\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, args := range map[string][]string{
		"--timeout is 0s, must be positive":    {"--timeout", "0s"},
		"--timeout is -1s, must be positive":   {"--timeout=-1s"},
		"--token-file: open no.token":          {"--token-file", "no.token"},
		"--token-file: " + empty + " is empty": {"--token-file", empty},
		`--ops is "ftp://x", must be like`:     {"--ops", "ftp://x"},
		"the config file cannot be read":       {},
	} {
		code, stdout, stderr := run(t, "", append([]string{"healthcheck"}, args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code is %d, want 2 and an error with %q: %s%s", args, code, want, stdout, stderr)
		}
	}
}

func TestHealthcheckDoesNotWaitForEver(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(s.Close)
	code, _, stderr := run(t, "", "healthcheck", "--ops", s.URL, "--timeout", "20ms")
	if code != exitFailed || !strings.Contains(stderr, "does not answer within 20ms") {
		t.Errorf("exit code is %d: %s", code, stderr)
	}
}
