package main

import (
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/handlers"
	"github.com/spillwaymq/spillway/consumer"
)

type validateCommand struct {
	settings

	Print bool `help:"Print the effective config, with secrets masked."`
}

// Run checks the file, and the routes of its handlers.
func (v *validateCommand) Run(p *process) error {
	cfg, err := v.load(p)
	if err != nil {
		return err
	}
	if err := checkRoutes(cfg); err != nil {
		return err
	}
	if v.Print {
		return cfg.Print(p.stdout)
	}
	_, err = fmt.Fprintf(p.stdout, "%s is valid\n", v.Config)
	return err
}

// checkRoutes has consumer.New look at the routes. It does no I/O, so a connection
// that was never made is enough. What the handlers need, such as commands and files,
// may be missing here: it is looked for where they run.
func checkRoutes(cfg *config.Config) error {
	mux := new(consumer.Mux)
	for _, h := range cfg.Handlers {
		mux.Route(consumer.Route{Subject: h.Subject, Handler: handlers.Discard{}, Downstream: h.Downstream, Timeout: h.Timeout()})
	}
	js, err := jetstream.New(new(nats.Conn))
	if err != nil {
		return err
	}
	if _, err := consumer.New(js, cfg.Consumer(), mux); err != nil {
		return &usageError{cfg.Explain(err)}
	}
	return nil
}
