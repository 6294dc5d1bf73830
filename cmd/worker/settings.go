package main

import (
	"log/slog"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/logging"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
)

// settings are the flags of the commands that read a config file.
type settings struct {
	Config string   `short:"c" default:"worker.yaml" env:"SPILLWAY_CONFIG" placeholder:"FILE" help:"The config file (default ${default})."`
	Set    []string `sep:"none" placeholder:"KEY=VALUE" help:"Set a key of the config, like workers=8 or nats.url=nats://db:4222. Wins over the environment (SPILLWAY_WORKERS, SPILLWAY_NATS_URL), which wins over the file."`
}

// load returns the config; any error is one of usage.
func (s *settings) load(p *process) (*config.Config, error) {
	cfg, err := config.Load(s.Config, config.Sources{Environ: p.environ, Set: s.Set})
	if err != nil {
		return nil, &usageError{err}
	}
	return cfg, nil
}

func newLogger(p *process, cfg config.Log) *slog.Logger {
	log, _ := newLiveLogger(p, cfg)
	return log
}

// newLiveLogger returns a logger whose level can be changed.
func newLiveLogger(p *process, cfg config.Log) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(cfg.SlogLevel())
	format := logging.JSON
	if cfg.Format == config.LogConsole || cfg.Format == config.LogAuto && terminal.Is(p.stderr) {
		format = logging.Console
	}
	return logging.New(p.stderr, format, level), level
}

// linkOptions returns how to connect as cfg says.
func linkOptions(cfg *config.Config, log *slog.Logger) natslink.Options {
	return natslink.Options{
		URL:         string(cfg.NATS.URL),
		Shown:       cfg.NATS.URL.String(),
		Name:        "spillway " + cfg.Stream + "/" + cfg.Durable,
		Credentials: cfg.NATS.Credentials,
		CA:          cfg.NATS.TLS.CA, Cert: cfg.NATS.TLS.Cert, Key: cfg.NATS.TLS.Key,
		Domain: cfg.NATS.Domain,
		Logger: log,
	}
}
