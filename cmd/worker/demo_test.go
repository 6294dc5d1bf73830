package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

func TestDemoLosesNothing(t *testing.T) {
	t.Parallel() // it mostly waits
	code, stdout, stderr := run(t, "", "demo", "--duration", "3s", "--listen", "127.0.0.1:0")
	if code != exitClean || !strings.Contains(stdout, "nothing lost") || !strings.Contains(stdout, "Not judged: scenes of 1s") {
		t.Errorf("exit code is %d:\n%s%s", code, stdout, stderr)
	}
	for _, want := range []string{"NORMAL", "SPIKE", "SLOW DOWNSTREAM", "concurrency_limit", "acme", "umbrella"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("demo does not show %q:\n%s", want, stdout)
		}
	}
}

func TestTheFirstLinesOfTheDemoFitInto80Columns(t *testing.T) {
	w := start(t, "", "demo", "--listen", "127.0.0.1:0")
	w.awaitOutput("NORMAL")
	head, _, _ := strings.Cut(w.stdout.String(), "\n\n")
	for line := range strings.SplitSeq(head, "\n") {
		if len(line) > 80 || !strings.Contains(line, "127.0.0.1:") {
			t.Errorf("%d columns: %s", len(line), line)
		}
	}
	w.signal(syscall.SIGINT)
	if code := w.exit(); code != exitClean {
		t.Errorf("exit code is %d:\n%s", code, w.errors())
	}
}

func TestEachSceneIsAThirdOfTheDemo(t *testing.T) {
	for duration, want := range map[time.Duration]time.Duration{0: 20 * time.Second, time.Minute: 20 * time.Second, 9 * time.Second: 3 * time.Second, 1: 100 * time.Millisecond} {
		if got := (&demoCommand{Duration: duration}).scene(); got != want {
			t.Errorf("of %v each scene is %v, want %v", duration, got, want)
		}
	}
}

func TestDemoEndsWithASignal(t *testing.T) {
	t.Parallel() // it mostly waits
	w := start(t, "", "demo", "--listen", "127.0.0.1:0")
	w.awaitOutput("NORMAL")
	w.signal(syscall.SIGINT)
	if code := w.exit(); code != exitClean {
		t.Errorf("exit code is %d:\n%s", code, w.errors())
	}
}

func TestDemoLeavesNothingBehindHoweverItIsEnded(t *testing.T) {
	for name, signals := range map[string][]os.Signal{
		"Ctrl-C twice":      {syscall.SIGINT, syscall.SIGINT},
		"a closed terminal": {syscall.SIGHUP},
	} {
		tmp := t.TempDir()
		t.Setenv("TMPDIR", tmp)
		w := start(t, "", "demo", "--listen", "127.0.0.1:0")
		w.awaitOutput("NORMAL")
		if left, err := os.ReadDir(tmp); err != nil || len(left) != 1 {
			t.Fatalf("while it runs %s holds %v (%v)", tmp, left, err)
		}
		for _, s := range signals {
			w.signal(s)
		}
		if code := w.exit(); code != exitClean && (len(signals) == 1 || code != 130) {
			t.Errorf("%s: exit code is %d:\n%s", name, code, w.errors())
		}
		if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
			t.Errorf("%s: left behind is %v (%v)", name, left, err)
		}
	}
}

func TestWhatIsRemovedTwiceIsGoneAfterEither(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	dir, remove, err := scratch()
	if err != nil {
		t.Fatal(err)
	}
	for i := range 100 {
		if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i)), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var both sync.WaitGroup
	for range 2 {
		both.Go(func() {
			remove()
			if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 0 {
				t.Errorf("left are %v", left)
			}
		})
	}
	both.Wait()
}

func TestADemoThatIsAskedForWronglyIsExitTwo(t *testing.T) {
	for want, args := range map[string][]string{
		`--listen is "nonsense", must be host:port like 127.0.0.1:8080`: {"--listen", "nonsense"},
		`--listen is "", must be host:port`:                             {"--listen", ""},
		`--listen is "127.0.0.1:99999", must be host:port`:              {"--listen", "127.0.0.1:99999"},
		"--duration is -1s, must be":                                    {"--duration=-1s"},
	} {
		code, stdout, stderr := run(t, "", append([]string{"demo"}, args...)...)
		if code != exitUsage || stdout != "" || !strings.Contains(stderr, want) {
			t.Errorf("%q: exit code is %d, want 2 and %q: %s%s", args, code, want, stdout, stderr)
		}
	}
}

func TestDemoSaysThatItsPortIsTaken(t *testing.T) {
	code, _, stderr := run(t, "", "demo", "--listen", taken(t))
	if code != exitFailed || !strings.Contains(stderr, "address already in use (give another address with --listen)") {
		t.Errorf("exit code is %d: %s", code, stderr)
	}
}
