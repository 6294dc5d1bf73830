package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// The exit codes with a meaning of their own, as sysexits.h calls them.
const (
	exitDataErr  = 65 // the message is wrong, and will be
	exitTempFail = 75 // try again later
)

// grace is how long a command may take to end when it was asked to, and how long
// what it left running may hold its output.
const grace = 2 * time.Second

// ExecConfig says which command is run.
type ExecConfig struct {
	// Command is the program and its arguments; no shell is involved. Required.
	Command []string
	// Environ is what the command inherits, less the variables that begin with
	// SPILLWAY_: those are the worker's, with its passwords.
	Environ []string
	// Logger gets the output, at the level debug. Required.
	Logger *slog.Logger
}

// Exec runs a command with the payload on its standard input. Make one with NewExec.
type Exec struct {
	path    string
	cfg     ExecConfig
	environ []string
}

// NewExec returns an Exec, or why the command could not be run.
func NewExec(cfg ExecConfig) (*Exec, error) {
	if len(cfg.Command) == 0 {
		return nil, errors.New("command is empty")
	}
	path, err := exec.LookPath(cfg.Command[0])
	if err != nil {
		return nil, fmt.Errorf("command: %w", err)
	}
	e := &Exec{path: path, cfg: cfg}
	for _, variable := range cfg.Environ {
		if !strings.HasPrefix(variable, "SPILLWAY_") {
			e.environ = append(e.environ, variable)
		}
	}
	return e, nil
}

// Handle runs the command and returns what its exit means. When ctx ends, the
// command and all it started in its process group is asked to end, and killed if it
// does not.
func (e *Exec) Handle(ctx context.Context, m *consumer.Message) error {
	var out tail
	cmd := exec.CommandContext(ctx, e.path, e.cfg.Command[1:]...)
	cmd.Env = e.variables(m)
	cmd.Stdin = bytes.NewReader(m.Data)
	cmd.Stdout, cmd.Stderr = &out, &out
	ownGroup(cmd)
	cmd.Cancel = func() error { return terminateGroup(cmd.Process) }
	cmd.WaitDelay = grace
	if err := cmd.Start(); err != nil {
		// That says nothing about the message: no attempt is spent.
		return consumer.Overloaded(fmt.Errorf("exec: %s: %w", e.cfg.Command[0], err), 0)
	}
	err := cmd.Wait()
	killGroup(cmd.Process) // whoever is left of it
	e.log(ctx, m, &out)
	return e.verdict(ctx, cmd.ProcessState, err, &out)
}

func (e *Exec) variables(m *consumer.Message) []string {
	env := make([]string, 0, len(e.environ)+8)
	env = append(env, e.environ...)
	for _, f := range factsOf(m) {
		env = append(env, "SPILLWAY_MSG_"+strings.ToUpper(f.name)+"="+f.value)
	}
	return append(env, "SPILLWAY_MSG_IDEMPOTENCY_KEY="+idempotencyKey(m))
}

// verdict returns what the end of the command means for the message.
func (e *Exec) verdict(ctx context.Context, state *os.ProcessState, err error, out *tail) error {
	switch {
	case ctx.Err() != nil:
		return fmt.Errorf("exec: %s was ended: %w%s", e.cfg.Command[0], context.Cause(ctx), out.shown())
	case state.Success():
		return nil // an error is about output that nobody needs
	}
	err = fmt.Errorf("exec: %s: %w%s", e.cfg.Command[0], err, out.shown())
	switch state.ExitCode() {
	case exitDataErr:
		return consumer.DeadLetter(err)
	case exitTempFail:
		return consumer.Overloaded(err, 0)
	}
	return err
}

func (e *Exec) log(ctx context.Context, m *consumer.Message, out *tail) {
	if !e.cfg.Logger.Enabled(ctx, slog.LevelDebug) {
		return
	}
	for line := range out.lines() {
		e.cfg.Logger.Debug("output of a command", "command", e.cfg.Command[0],
			"stream", m.Stream, "sequence", m.Sequence, "tenant", m.Tenant, "line", line)
	}
}
