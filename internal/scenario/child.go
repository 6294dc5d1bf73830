package scenario

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// A Task is what a process is told that a scenario starts. It reads it as JSON from its
// standard input, and writes what happens to its standard output, a line each.
type Task struct {
	Server  Server        `json:"server"`
	Stream  string        `json:"stream"`
	Durable string        `json:"durable"`
	Ours    bool          `json:"ours"` // or the plain consumer
	Workers int           `json:"workers"`
	AckWait time.Duration `json:"ack_wait"`
	Service time.Duration `json:"service"`  // of a handler
	Buffer  int           `json:"messages"` // of Spillway; 0: the default
	For     time.Duration `json:"for"`      // after which it stops; 0: when it is told to, by the end of its input
	// Announce says to write a line for each handled message.
	Announce bool `json:"announce"`
	// Gauge says to watch the memory, and to write a line of it at the end.
	Gauge bool `json:"gauge"`
}

// event is a line that a process writes.
type event struct {
	Ready   bool    `json:"ready,omitempty"`
	Began   uint64  `json:"began,omitempty"`   // the sequence of a message whose handler has begun
	Handled uint64  `json:"handled,omitempty"` // and of one whose handler has ended
	Memory  *memory `json:"memory,omitempty"`
}

// ServeTask does what a Task says that it reads from stdin. It is what the command of
// Config.Child calls; connect is as Config.Connect.
func ServeTask(ctx context.Context, stdin io.Reader, stdout io.Writer, connect func(Server) (jetstream.JetStream, error)) error {
	input := bufio.NewReader(stdin)
	line, err := input.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("scenario: no task: %w", err)
	}
	var t Task
	if err := json.Unmarshal(line, &t); err != nil {
		return fmt.Errorf("scenario: task: %w", err)
	}
	js, err := connect(t.Server)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // ends with the process, at the latest: a read cannot be broken off
		_, _ = io.Copy(io.Discard, input)
		cancel()
	}()
	return t.do(ctx, js, &voice{w: stdout})
}

// voice writes events.
type voice struct {
	mu sync.Mutex // guards w
	w  io.Writer
}

func (v *voice) say(e event) {
	line, err := json.Marshal(e)
	if err != nil {
		return
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	_, _ = v.w.Write(append(line, '\n')) // who does not listen has ended, and so will this
}

// process is a child that does a task.
type process struct {
	cmd    *exec.Cmd
	stdin  io.Closer
	disown func()
	ready  chan struct{} // closed when it consumes
	ended  chan struct{} // closed when it has ended, after err was set
	err    error

	mu     sync.Mutex
	memory *memory
}

// start starts a process with the task. on is called with each sequence that it announces.
func (r *Rig) start(ctx context.Context, t Task, on func(e event)) (*process, error) {
	t.Server = r.cfg.Server
	cmd, err := r.command(ctx)
	if err != nil {
		return nil, err
	}
	task, err := json.Marshal(t)
	if err != nil {
		return nil, err
	}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	cmd.Stderr = new(strings.Builder)
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start a process: %w", err)
	}
	p := &process{cmd: cmd, stdin: stdin, disown: r.adopt(cmd.Process.Pid), ready: make(chan struct{}), ended: make(chan struct{})}
	go p.follow(stdout, on)
	if _, err := stdin.Write(append(task, '\n')); err != nil {
		p.kill()
		return nil, fmt.Errorf("start a process: %w", err)
	}
	return p, nil
}

// follow reads what the process says until it ends.
func (p *process) follow(stdout io.Reader, on func(event)) {
	defer close(p.ended)
	defer p.disown()
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		var e event
		if json.Unmarshal(lines.Bytes(), &e) != nil {
			continue // half a line of one that was killed
		}
		switch {
		case e.Ready:
			close(p.ready)
		case e.Memory != nil:
			p.mu.Lock()
			p.memory = e.Memory
			p.mu.Unlock()
		case on != nil:
			on(e)
		}
	}
	p.err = p.cmd.Wait()
	if said := fmt.Sprint(p.cmd.Stderr); p.err != nil && said != "" {
		p.err = fmt.Errorf("%w: %s", p.err, strings.TrimSpace(said))
	}
}

// awaitReady waits until it consumes.
func (p *process) awaitReady(ctx context.Context) error {
	select {
	case <-p.ready:
		return nil
	case <-p.ended:
		return errors.Join(errors.New("a process ended before it consumed"), p.err)
	case <-ctx.Done():
		p.kill()
		return ctx.Err()
	}
}

// stop tells it to drain, and waits for its end.
func (p *process) stop() error {
	_ = p.stdin.Close() // closed before, if it has ended
	<-p.ended
	return p.err
}

// kill ends it at once, as a power cut would.
func (p *process) kill() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.ended
}

// gauged returns its memory, once it has ended.
func (p *process) gauged() (memory, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.memory == nil {
		return memory{}, false
	}
	return *p.memory, true
}

// die ends this process as a bug that no fence can hold does.
func die() {
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Kill()
	}
	if err == nil {
		select {} // until the signal arrives
	}
	panic("a poison message")
}
