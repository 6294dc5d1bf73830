package main

import (
	"strings"
	"syscall"
	"testing"
)

func TestDemoLosesNothing(t *testing.T) {
	code, stdout, stderr := run(t, "", "demo", "--duration", "3s", "--listen", "127.0.0.1:0")
	if code != exitClean || !strings.Contains(stdout, "nothing lost") {
		t.Errorf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"spike", "slow downstream", "acme", "umbrella"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("demo does not show %q:\n%s", want, stdout)
		}
	}
}

func TestDemoEndsWithASignal(t *testing.T) {
	w := start(t, "", "demo", "--listen", "127.0.0.1:0")
	w.awaitOutput("busy")
	w.signal(syscall.SIGINT)
	if code := w.exit(); code != exitClean {
		t.Errorf("exit code is %d:\n%s", code, w.errors())
	}
}

func TestDemoSaysThatItsPortIsTaken(t *testing.T) {
	code, _, stderr := run(t, "", "demo", "--listen", taken(t))
	if code != exitFailed || !strings.Contains(stderr, "address already in use (give another address with --listen)") {
		t.Errorf("exit code is %d: %s", code, stderr)
	}
}
