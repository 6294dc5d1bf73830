package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/handlers"
	"github.com/spillwaymq/spillway/consumer"
)

type validateCommand struct {
	settings

	FileOnly bool `help:"Check the file alone: the programs and files that it names need not be here."`
	Print    bool `help:"Print the effective config, with secrets masked."`
}

// Run checks what run would refuse before it connects, and warns of what is hardly meant.
func (v *validateCommand) Run(p *process) error {
	cfg, err := config.Read(v.Config, config.Sources{Environ: p.environ, Set: v.Set})
	if cfg == nil {
		return &usageError{err}
	}
	settings := cfg.Consumer()
	if err != nil { // it has told what is wrong with them
		settings = consumer.Config{Stream: "any", Durable: "any"}
	} else {
		for _, w := range cfg.Warnings() {
			fmt.Fprintln(p.stderr, w)
		}
	}
	found := checkRoutes(cfg, settings)
	if !v.FileOnly {
		with, missing := equip(cfg, p.environ, slog.New(slog.DiscardHandler))
		if missing == nil {
			with.close()
		}
		found = errors.Join(found, missing)
	}
	if err := cfg.With(found); err != nil {
		return &usageError{err}
	}
	if v.Print {
		return cfg.Print(p.stdout)
	}
	_, err = fmt.Fprintf(p.stdout, "%s is valid\n", v.Config)
	return err
}

// checkRoutes has consumer.New look at settings, and at the routes of cfg. It does no I/O, so a connection
// that was never made is enough.
func checkRoutes(cfg *config.Config, settings consumer.Config) error {
	mux := new(consumer.Mux)
	for _, h := range cfg.Handlers {
		mux.Route(consumer.Route{Subject: h.Subject, Handler: handlers.Discard{}, Downstream: h.Downstream, Timeout: max(h.Timeout(), 0)}) // a negative one was told
	}
	js, err := jetstream.New(new(nats.Conn))
	if err != nil {
		return err
	}
	settings.SharedRate = config.OwnRate
	_, err = consumer.New(js, settings, mux)
	return cfg.Explain(err)
}
