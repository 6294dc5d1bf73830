package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/demo"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
	"github.com/spillwaymq/spillway/examples/endtoend/story"
)

// demoCommand tells the story of examples/endtoend.
type demoCommand struct {
	Duration time.Duration `default:"1m" help:"How long the three scenes take together: below 30s they are shown and not judged; 0 is again and again until Ctrl-C (default ${default})."`
	Listen   string        `default:"127.0.0.1:8080" placeholder:"HOST:PORT" help:"Where the operations page listens (default ${default})."`
}

// Validate is called by kong.
func (d *demoCommand) Validate() error {
	if d.Duration < 0 || d.Duration > maxDemo {
		return fmt.Errorf("--duration is %v, must be from 0 to %v", d.Duration, maxDemo)
	}
	if !config.IsListen(d.Listen) {
		return fmt.Errorf("--listen is %q, must be host:port like 127.0.0.1:8080, or with port 0 for any that is free", d.Listen)
	}
	return nil
}

const (
	minScene = 100 * time.Millisecond
	maxDemo  = 3 * time.Hour
)

// Run shows the story until it is over, and then what was seen and what became of every job.
func (d *demoCommand) Run(p *process) error {
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
	log := slog.New(slog.DiscardHandler) // it would write over the numbers
	ctx, release := untilSignal(context.Background(), &tidy, log, nil)
	defer release()
	page, err := net.Listen("tcp", d.Listen)
	if err != nil {
		return fmt.Errorf("%w (give another address with --listen)", err)
	}
	link, closeLink, err := startDemoNATS(dir, log)
	if err != nil {
		return errors.Join(err, page.Close())
	}
	defer closeLink()
	fmt.Fprintf(p.stdout, "http://%s/ is the page, Ctrl-C ends the demo.\n%s has the messages.\n\n", page.Addr(), link.Conn.ConnectedUrl())
	summary, err := story.Run(ctx, story.Config{
		JetStream: link.JetStream,
		Page:      page,
		Scene:     d.scene(),
		Endless:   d.Duration == 0,
		Show:      demoView(p.stdout),
		Logger:    log,
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(p.stdout)
	if err := summary.WriteText(p.stdout); err != nil {
		return err
	}
	if lost := summary.Account.Lost; lost > 0 {
		return fmt.Errorf("%d jobs were lost: this is a bug, please report it", lost)
	}
	return nil
}

// scene returns how long each scene takes.
func (d *demoCommand) scene() time.Duration {
	if d.Duration == 0 {
		return story.DefaultScene
	}
	return max(d.Duration/time.Duration(len(story.Scenes())), minScene)
}

// demoView draws on a terminal, and writes lines elsewhere.
func demoView(f *os.File) func(story.Moment) {
	if !terminal.Is(f) || os.Getenv("TERM") == "dumb" {
		return story.Lines(f)
	}
	screen := &demo.Screen{W: f, Size: func() (columns, rows int) { return terminal.Size(f) }}
	return func(m story.Moment) { screen.Draw(m.Table()) }
}

// startDemoNATS starts a server with its streams in dir, on a free port.
func startDemoNATS(dir string, log *slog.Logger) (*natslink.Link, func(), error) {
	server, err := natslink.StartEmbedded(dir, "nats://127.0.0.1:0", log)
	if err != nil {
		return nil, nil, err
	}
	link, err := natslink.Connect(natslink.Options{
		URL: server.URL(), Shown: server.URL(), Name: "worker demo", Embedded: server, Logger: log,
	})
	if err != nil {
		server.Close()
		return nil, nil, err
	}
	return link, func() {
		link.Close()
		server.Close()
	}, nil
}
