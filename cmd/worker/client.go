package main

import (
	"context"
	"os/signal"
	"syscall"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
)

// withNATS connects as the config says, calls do, and disconnects. An INT or TERM
// ends ctx. Only what goes wrong is logged.
func (s *settings) withNATS(p *process, do func(ctx context.Context, cfg *config.Config, link *natslink.Link) error) error {
	cfg, err := s.load(p)
	if err != nil {
		return err
	}
	quiet := cfg.Log
	if quiet.Level == "debug" || quiet.Level == "info" {
		quiet.Level = "warn"
	}
	link, err := natslink.Connect(linkOptions(cfg, newLogger(p, quiet)))
	if err != nil {
		return err
	}
	defer link.Close()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	return do(ctx, cfg, link)
}
