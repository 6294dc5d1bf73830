package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// asWorker in the environment makes this test binary the command.
const asWorker = "RUN_AS_WORKER"

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

func TestMain(m *testing.M) {
	if os.Getenv(asWorker) != "" {
		main()
	}
	os.Exit(m.Run())
}

// worker is a running command.
type worker struct {
	t   *testing.T
	cmd *exec.Cmd
	log chan logLine

	mu     sync.Mutex
	stdout output
	stderr bytes.Buffer
}

// output is a buffer that tells when it grows.
type output struct {
	mu    sync.Mutex
	text  bytes.Buffer
	grown chan struct{} // holds one token after a write
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	select {
	case o.grown <- struct{}{}:
	default:
	}
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// logLine is a line of its log.
type logLine map[string]any

// start starts the command in a directory of its own that holds worker.yaml.
func start(t *testing.T, config string, args ...string) *worker {
	t.Helper()
	dir := t.TempDir()
	if config != "" {
		if err := os.WriteFile(filepath.Join(dir, "worker.yaml"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return startProgram(t, program, dir, args...)
}

// startProgram starts a program that is the command, or becomes it.
func startProgram(t *testing.T, program, dir string, args ...string) *worker {
	t.Helper()
	w := &worker{t: t, cmd: exec.Command(program, args...), log: make(chan logLine, 4096), stdout: output{grown: make(chan struct{}, 1)}}
	w.cmd.Dir = dir
	w.cmd.Env = append(os.Environ(), asWorker+"=1")
	w.cmd.Stdout = &w.stdout
	stderr, err := w.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := w.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		w.read(bufio.NewScanner(stderr))
	}()
	t.Cleanup(func() {
		_ = w.cmd.Process.Kill()
		<-read
	})
	return w
}

func (w *worker) read(lines *bufio.Scanner) {
	defer close(w.log)
	for lines.Scan() {
		w.mu.Lock()
		w.stderr.WriteString(lines.Text() + "\n")
		w.mu.Unlock()
		var line logLine
		if json.Unmarshal(lines.Bytes(), &line) == nil {
			w.log <- line
		}
	}
}

// await returns the next line of the log that has this message.
func (w *worker) await(msg string) logLine {
	w.t.Helper()
	deadline := time.After(patience)
	for {
		select {
		case line, ok := <-w.log:
			if !ok {
				w.t.Fatalf("ended without logging %q:\n%s", msg, w.errors())
			}
			if line["msg"] == msg {
				return line
			}
		case <-deadline:
			w.t.Fatalf("does not log %q:\n%s", msg, w.errors())
		}
	}
}

// awaitOutput returns when the standard output holds text.
func (w *worker) awaitOutput(text string) {
	w.t.Helper()
	deadline := time.After(patience)
	for !strings.Contains(w.stdout.String(), text) {
		select {
		case <-w.stdout.grown:
		case <-deadline:
			w.t.Fatalf("does not print %q:\n%s%s", text, w.stdout.String(), w.errors())
		}
	}
}

// exit waits for the end and returns the exit code.
func (w *worker) exit() int {
	w.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = w.cmd.Process.Signal(syscall.SIGQUIT) })
	defer timer.Stop()
	for range w.log { // until its end: the pipe must be empty before Wait
	}
	_ = w.cmd.Wait()
	return w.cmd.ProcessState.ExitCode()
}

func (w *worker) errors() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.stderr.String()
}

func (w *worker) signal(s os.Signal) {
	w.t.Helper()
	if err := w.cmd.Process.Signal(s); err != nil {
		w.t.Fatal(err)
	}
}

// run runs the command to its end.
func run(t *testing.T, config string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	w := start(t, config, args...)
	code = w.exit()
	return code, w.stdout.String(), w.errors()
}

// connect connects to the embedded server of w.
func (w *worker) connect() jetstream.JetStream {
	w.t.Helper()
	url, _ := w.await("embedded NATS server is ready")["url"].(string)
	conn, err := nats.Connect(url)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	if err != nil {
		w.t.Fatal(err)
	}
	return js
}
