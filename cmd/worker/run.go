package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/consumer"
)

type runCommand struct {
	settings

	Embedded string `type:"path" placeholder:"DIR" help:"Start a NATS server inside this process that keeps its streams in DIR and listens on the port of nats.url, for development."`
}

// Run consumes until a signal, and drains.
func (r *runCommand) Run(p *process) error {
	cfg, err := r.load(p)
	if err != nil {
		return err
	}
	log := newLogger(p, cfg.Log)
	p.log = log
	with, err := equip(cfg, p.environ, log)
	if err != nil {
		return err
	}
	defer with.close()
	ctx, release := untilSignal(context.Background(), p, log, func() {
		log.Warn("reload is not supported yet: restart to change the config")
	})
	defer release()

	link, closeLink, err := r.connect(cfg, log)
	if err != nil {
		return err
	}
	defer closeLink()
	return work(ctx, cfg, link, with, log)
}

// connect connects to NATS, and starts it first if it is to be embedded.
func (r *runCommand) connect(cfg *config.Config, log *slog.Logger) (*natslink.Link, func(), error) {
	options := linkOptions(cfg, log)
	if r.Embedded == "" {
		link, err := natslink.Connect(options)
		if err != nil {
			return nil, nil, err
		}
		return link, link.Close, nil
	}
	if cfg.NATS.Credentials != "" || cfg.NATS.TLS != (config.TLS{}) || cfg.NATS.Domain != "" {
		return nil, nil, &usageError{errors.New("--embedded cannot be used with nats.credentials, nats.domain or nats.tls: the server is of this process alone")}
	}
	embedded, err := natslink.StartEmbedded(r.Embedded, options.URL, log)
	if err != nil {
		return nil, nil, err
	}
	options.Embedded, options.URL, options.Shown = embedded, embedded.URL(), embedded.URL()
	link, err := natslink.Connect(options)
	if err != nil {
		embedded.Close()
		return nil, nil, err
	}
	return link, func() {
		link.Close()
		embedded.Close()
	}, nil
}

// work runs the consumer of cfg until ctx ends and the drain is over.
func work(ctx context.Context, cfg *config.Config, link *natslink.Link, with *equipment, log *slog.Logger) error {
	rates, err := openRates(cfg.Redis, with.redis, log)
	if err != nil {
		return err
	}
	defer rates.close()
	settings := cfg.Consumer()
	settings.Logger, settings.SharedRate = log, rates.shared()
	c, err := consumer.New(link.JetStream, settings, with.mux)
	if err != nil {
		return &usageError{cfg.Explain(err)}
	}
	endpoint, err := startOps(cfg.Ops, with.token, c, log)
	if err != nil {
		return err
	}
	defer endpoint.close()
	return c.Run(ctx)
}
