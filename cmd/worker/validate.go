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
	cfg, err := v.load(p)
	if err != nil {
		return err
	}
	err = checkRoutes(cfg)
	if !v.FileOnly {
		with, missing := equip(cfg, p.environ, slog.New(slog.DiscardHandler))
		if missing == nil {
			with.close()
		}
		err = errors.Join(err, missing)
	}
	for _, w := range cfg.Warnings() {
		fmt.Fprintln(p.stderr, w)
	}
	if err != nil {
		return err
	}
	if v.Print {
		return cfg.Print(p.stdout)
	}
	_, err = fmt.Fprintf(p.stdout, "%s is valid\n", v.Config)
	return err
}

// checkRoutes has consumer.New look at the routes. It does no I/O, so a connection
// that was never made is enough.
func checkRoutes(cfg *config.Config) error {
	mux := new(consumer.Mux)
	for _, h := range cfg.Handlers {
		mux.Route(consumer.Route{Subject: h.Subject, Handler: handlers.Discard{}, Downstream: h.Downstream, Timeout: h.Timeout()})
	}
	js, err := jetstream.New(new(nats.Conn))
	if err != nil {
		return err
	}
	settings := cfg.Consumer()
	settings.SharedRate = config.OwnRate
	if _, err := consumer.New(js, settings, mux); err != nil {
		return &usageError{cfg.Explain(err)}
	}
	return nil
}
