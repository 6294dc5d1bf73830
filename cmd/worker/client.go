package main

import (
	"context"
	"errors"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
)

// withNATS connects as the config says, calls do, and disconnects. A signal ends ctx, and
// a second one the process. Only what goes wrong is logged.
func (s *settings) withNATS(p *process, do func(ctx context.Context, cfg *config.Config, link *natslink.Link) error) error {
	cfg, err := s.load(p)
	if err != nil {
		return err
	}
	quiet := cfg.Log
	if quiet.Level == "debug" || quiet.Level == "info" {
		quiet.Level = "warn"
	}
	log := newLogger(p, quiet)
	ctx, release := untilSignal(context.Background(), p, log, nil)
	defer release()
	link, err := natslink.Connect(linkOptions(cfg, log))
	if err != nil {
		return err
	}
	defer link.Close()
	if err := do(ctx, cfg, link); ctx.Err() == nil || err == nil {
		return err
	}
	return errors.New("ended by a signal, before it was done")
}
