//go:build unix

package handlers_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/spillwaymq/spillway/cmd/worker/internal/handlers"
	"github.com/spillwaymq/spillway/consumer"
)

func command(t *testing.T, args ...string) *handlers.Exec {
	t.Helper()
	e, err := handlers.NewExec(handlers.ExecConfig{Command: args, Environ: os.Environ(), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func shell(t *testing.T, script string) *handlers.Exec {
	t.Helper()
	return command(t, "sh", "-c", script)
}

// holders is a pipe that the processes of a script hold open, which tells that they
// run and when the last of them has ended.
type holders struct {
	t    *testing.T
	name string
}

// newHolders makes the pipe. A script takes hold of it with exec 3>"$PIPE".
func newHolders(t *testing.T) *holders {
	t.Helper()
	name := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(name, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PIPE", name)
	return &holders{t: t, name: name}
}

// watch calls running when one wrote a line, and closes ended when all are gone.
func (h *holders) watch(running func()) (ended <-chan struct{}) {
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		pipe, err := os.Open(h.name) // returns when the script has opened it too
		if err != nil {
			h.t.Error(err)
			return
		}
		defer pipe.Close()
		lines := bufio.NewReader(pipe)
		_, _ = lines.ReadString('\n')
		running()
		_, _ = io.Copy(io.Discard, lines)
	}()
	return gone
}

func TestExitCodeDecides(t *testing.T) {
	for script, want := range map[string]consumer.Result{
		"exit 0":                 consumer.ResultSuccess,
		"exit 65":                consumer.ResultDeadLetter,
		"exit 75":                consumer.ResultOverloaded,
		"exit 1":                 consumer.ResultError,
		"exit 255":               consumer.ResultError,
		"kill -TERM $$; sleep 9": consumer.ResultError,
	} {
		if got := verdict(t, shell(t, script), message()); got != want {
			t.Errorf("%q means %s, want %s", script, got, want)
		}
	}
}

func TestCommandIsGivenThePayloadAndTheFacts(t *testing.T) {
	t.Setenv("SPILLWAY_NATS_URL", "nats://secret@x")
	t.Setenv("SPILLWAY_MSG_TENANT", "forged")
	t.Setenv("INHERITED", "yes")
	m := message()
	m.Subject = "jobs.a\x00b"
	out := filepath.Join(t.TempDir(), "out")
	t.Setenv("OUT", out)
	if err := shell(t, `(cat; echo; env) > "$OUT"`).Handle(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(got), "\n")
	for _, want := range []string{
		"payload", "INHERITED=yes", "SPILLWAY_MSG_SUBJECT=jobs.a%00b", "SPILLWAY_MSG_TENANT=acme", "SPILLWAY_MSG_STREAM=JOBS",
		"SPILLWAY_MSG_SEQUENCE=42", "SPILLWAY_MSG_PUBLISHED=2026-02-03T03:05:06.007Z", "SPILLWAY_MSG_ATTEMPT=3", "SPILLWAY_MSG_IDEMPOTENCY_KEY=JOBS-42",
	} {
		if !slices.Contains(lines, want) {
			t.Errorf("%q is not there", want)
		}
	}
	if strings.Contains(string(got), "secret") || strings.Contains(string(got), "forged") {
		t.Errorf("variables of the worker are there:\n%s", got)
	}
}

func TestNoShellIsInvolved(t *testing.T) {
	if err := command(t, "test", "$HOME; exit 1", "=", "$HOME; exit 1").Handle(t.Context(), message()); err != nil {
		t.Error(err)
	}
}

func TestChildThatIgnoresItsInputIsNoError(t *testing.T) {
	m := message()
	m.Data = bytes.Repeat([]byte("x"), 4<<20)
	if err := command(t, "true").Handle(t.Context(), m); err != nil {
		t.Error(err)
	}
}

func TestOutputIsInTheErrorWithItsEnd(t *testing.T) {
	err := shell(t, `i=0; while [ $i -lt 20000 ]; do echo "line $i"; i=$((i+1)); done; echo "no such file" >&2; exit 3`).Handle(t.Context(), message())
	if err == nil || !strings.HasPrefix(err.Error(), "exec: sh: exit status 3: ") || !strings.HasSuffix(err.Error(), "line 19999 no such file") || len(err.Error()) > 1000 {
		t.Errorf("error is %.1500v", err)
	}
}

func TestOutputIsLoggedByLineAndBounded(t *testing.T) {
	var log bytes.Buffer
	e, err := handlers.NewExec(handlers.ExecConfig{
		Command: []string{"sh", "-c", `head -c 100000 /dev/zero | tr '\0' x; echo; printf 'one\ntwo\377'`},
		Environ: os.Environ(),
		Logger:  slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Handle(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	if got := log.String(); !strings.Contains(got, "line=one\n") || !strings.Contains(got, "line=\"two�\"\n") || strings.Count(got, "\n") != 2 {
		t.Errorf("log is\n%.2000s", got)
	}
}

func TestCommandThatIsNotThereIsAnErrorBeforehand(t *testing.T) {
	for _, args := range [][]string{{"no-such-command-here"}, {"./no/such"}, {}} {
		if _, err := handlers.NewExec(handlers.ExecConfig{Command: args, Logger: slog.New(slog.DiscardHandler)}); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
}

func TestCommandThatCannotStartSpendsNoAttempt(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil { //nolint:gosec // it is to be run
		t.Fatal(err)
	}
	e := command(t, program)
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	if got := verdict(t, e, message()); got != consumer.ResultOverloaded {
		t.Errorf("verdict is %s", got)
	}
}

func TestWholeGroupEndsWithTheContext(t *testing.T) {
	for name, script := range map[string]string{
		"polite":       `exec 3>"$PIPE"; sleep 600 & echo up >&3; wait`,
		"ignores TERM": `exec 3>"$PIPE"; trap '' TERM; sleep 600 & echo up >&3; while :; do sleep 600; done`,
	} {
		t.Run(name, func(t *testing.T) {
			cause := errors.New("out of time")
			ctx, cancel := context.WithCancelCause(t.Context())
			ended := newHolders(t).watch(func() { cancel(cause) })
			if err := shell(t, script).Handle(ctx, message()); !errors.Is(err, cause) {
				t.Errorf("error is %v", err)
			}
			<-ended
		})
	}
}

func TestGrandchildThatHoldsTheOutputDoesNotHangTheWorker(t *testing.T) {
	ended := newHolders(t).watch(func() {})
	if err := shell(t, `exec 3>"$PIPE"; sleep 600 & echo up >&3`).Handle(t.Context(), message()); err != nil {
		t.Errorf("error is %v", err)
	}
	<-ended
}
