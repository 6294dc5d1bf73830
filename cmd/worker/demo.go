package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/demo"
	"github.com/spillwaymq/spillway/consumer"
)

// accountTimeout bounds how long the demo looks for what was not handled.
const accountTimeout = 10 * time.Second

type demoCommand struct {
	Duration time.Duration `help:"How long; 0 is until Ctrl-C."`
	Listen   string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where the operations endpoint listens (default ${default})."`
}

// demoFile is the config of the demo. The placeholders are the address of the
// endpoint, the URL of the downstream and this program.
const demoFile = `
nats: {url: "nats://127.0.0.1:0"}
stream: JOBS
durable: worker
subjects: [jobs.>]
tenant: {subject_token: 2}
workers: 8
tenants: {default: {queue: 64}}
handlers:
  - {subject: "jobs.*.invoice", downstream: billing, http: {url: %s}}
  - {subject: "jobs.*.export", downstream: exports, exec: {command: [%s, version]}}
  - {subject: "jobs.*.log", downstream: logs, discard: {delay: 1ms}}
ops: {listen: %s}
drain_timeout: 10s
`

// Validate is called by kong.
func (d *demoCommand) Validate() error {
	if d.Duration < 0 {
		return fmt.Errorf("--duration is %v, must not be negative", d.Duration)
	}
	return nil
}

// Run shows the demo until it is over, and then what became of every message.
func (d *demoCommand) Run(p *process) error {
	log := slog.New(slog.DiscardHandler) // it would write over the numbers
	dir, remove, err := scratch()
	if err != nil {
		return err
	}
	defer remove()
	tidy := *p
	tidy.exit = func(code int) {
		remove()
		p.exit(code)
	}
	ctx, release := untilSignal(context.Background(), &tidy, log, nil)
	defer release()
	if d.Duration > 0 {
		limited, cancel := context.WithTimeout(ctx, d.Duration)
		defer cancel()
		ctx = limited
	}
	scene := demo.NewScene(time.Now(), d.Duration)
	downstream, err := demo.StartDownstream(scene)
	if err != nil {
		return err
	}
	defer func() { _ = downstream.Close() }()
	cfg, err := d.config(downstream.URL())
	if err != nil {
		return err
	}
	link, closeLink, err := (&runCommand{Embedded: dir}).connect(cfg, log)
	if err != nil {
		return err
	}
	defer closeLink()
	return d.play(ctx, p, &stage{cfg: cfg, link: link, scene: scene, tally: demo.NewTally(), log: log})
}

// scratch makes a directory for the embedded server. remove may be called again, by
// others too, and returns when nothing is left, also while the server still writes: it
// finds its directory no more.
func scratch() (dir string, remove func(), err error) {
	dir, err = os.MkdirTemp("", "spillway-demo-")
	if err != nil {
		return "", nil, err
	}
	return dir, sync.OnceFunc(func() {
		gone := dir + "-ended"
		if os.Rename(dir, gone) != nil {
			gone = dir
		}
		_ = os.RemoveAll(gone) // nobody is left to be told
	}), nil
}

func (d *demoCommand) config(downstream string) (*config.Config, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text := fmt.Sprintf(demoFile, strconv.Quote(downstream), strconv.Quote(program), strconv.Quote(d.Listen))
	cfg, err := config.Parse("demo", []byte(text), config.Sources{})
	if err != nil {
		return nil, &usageError{err}
	}
	return cfg, nil
}

// play runs the consumer and the traffic. The traffic ends first, so that the drain
// has an end to come to.
func (d *demoCommand) play(ctx context.Context, p *process, s *stage) error {
	c, closeHandlers, err := s.consumer(p.environ)
	if err != nil {
		return err
	}
	defer closeHandlers()
	endpoint, err := startOps(s.cfg.Ops, "", c, s.log)
	if err != nil {
		return fmt.Errorf("%w (give another address with --listen)", err)
	}
	defer endpoint.close()
	fmt.Fprintf(p.stdout, "%d tenants publish, %d workers share the work; Ctrl-C ends it.\n", len(demo.Tenants()), s.cfg.Workers)
	fmt.Fprintf(p.stdout, "http://%s/ has metrics and state, %s the messages.\n\n", endpoint.addr, s.link.Conn.ConnectedUrl())
	demo.Announce(p.stdout, d.Duration)
	fmt.Fprintln(p.stdout)

	working, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	ended := make(chan error, 1)
	go func() {
		defer close(ended)
		ended <- c.Run(working)
	}()
	err = s.traffic(ctx, p, c, ended)
	if err == nil {
		fmt.Fprintln(p.stdout, "\nThe tenants have stopped; draining. Ctrl-C ends it at once.")
	}
	stopWork()
	if worked := <-ended; worked != nil && !errors.Is(worked, consumer.ErrDrainTimeout) {
		err = errors.Join(err, worked)
	}
	if err != nil {
		return err
	}
	return s.account(p, c)
}
