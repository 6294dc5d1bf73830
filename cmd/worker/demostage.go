package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/demo"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
	"github.com/spillwaymq/spillway/consumer"
)

// stage is what a demo is played with.
type stage struct {
	cfg   *config.Config
	link  *natslink.Link
	scene *demo.Scene
	tally *demo.Tally
	log   *slog.Logger
}

// consumer returns the consumer of the config, whose handlers are counted.
func (s *stage) consumer(environ []string) (*consumer.Consumer, func(), error) {
	mux, closeHandlers, err := routes(s.cfg, environ, s.log, s.tally.Count)
	if err != nil {
		return nil, nil, err
	}
	c, err := consumer.New(s.link.JetStream, s.cfg.Consumer(), mux)
	if err != nil {
		closeHandlers()
		return nil, nil, s.cfg.Explain(err)
	}
	return c, closeHandlers, nil
}

// traffic publishes and shows the numbers until ctx ends. An error of the consumer,
// which ends before its time then, ends it too.
func (s *stage) traffic(ctx context.Context, p *process, c *consumer.Consumer, ended <-chan error) error {
	if err := awaitReady(ctx, c, ended); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	screen := &demo.Screen{W: p.stdout, Scene: s.scene, Tally: s.tally, Snapshot: c.Snapshot}
	if terminal.Is(p.stdout) && os.Getenv("TERM") != "dumb" {
		screen.Size = func() (columns, rows int) { return terminal.Size(p.stdout) }
	}
	published := make(chan error, 1)
	var wg sync.WaitGroup
	wg.Go(func() { screen.Run(ctx) })
	wg.Go(func() { published <- demo.Publish(ctx, s.link.JetStream, s.scene, s.tally) })
	var err error
	select {
	case err = <-ended:
		err = fmt.Errorf("the worker ended before its time: %w", err)
	case err = <-published:
	}
	cancel()
	wg.Wait()
	s.scene.End()
	return err
}

// account shows what became of every message.
func (s *stage) account(p *process, c *consumer.Consumer) error {
	ctx, cancel := context.WithTimeout(context.Background(), accountTimeout)
	defer cancel()
	a, err := demo.Settle(ctx, s.link.JetStream, c.Snapshot(), s.cfg.Consumer(), s.tally)
	if err != nil {
		return err
	}
	a.Print(p.stdout)
	if lost := a.Lost(); lost > 0 {
		return fmt.Errorf("%d messages were lost: this is a bug, please report it", lost)
	}
	return nil
}

// awaitReady returns when c is ready, or ctx ends.
func awaitReady(ctx context.Context, c *consumer.Consumer, ended <-chan error) error {
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for c.Ready() != nil && ctx.Err() == nil {
		select {
		case <-ticker.C:
		case <-ctx.Done():
		case err := <-ended:
			return errors.Join(errors.New("the worker did not start"), err)
		}
	}
	return nil
}
