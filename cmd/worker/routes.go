package main

import (
	"fmt"
	"log/slog"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/handlers"
	"github.com/spillwaymq/spillway/consumer"
)

// routes makes the handlers of cfg, each within wrap, if that is given. closeAll ends
// what they keep open.
func routes(cfg *config.Config, environ []string, log *slog.Logger, wrap func(consumer.Handler) consumer.Handler) (mux *consumer.Mux, closeAll func(), err error) {
	mux = new(consumer.Mux)
	var closers []func()
	for i, h := range cfg.Handlers {
		handler, err := newHandler(h, cfg.Workers, environ, log)
		if err != nil {
			return nil, nil, &usageError{cfg.Problem(fmt.Sprintf("handlers[%d]", i), err)}
		}
		if c, ok := handler.(interface{ Close() }); ok {
			closers = append(closers, c.Close)
		}
		if wrap != nil {
			handler = wrap(handler)
		}
		mux.Route(consumer.Route{Subject: h.Subject, Handler: handler, Downstream: h.Downstream, Timeout: h.Timeout()})
	}
	return mux, func() {
		for _, c := range closers {
			c()
		}
	}, nil
}

func newHandler(h config.Handler, workers int, environ []string, log *slog.Logger) (consumer.Handler, error) {
	switch {
	case h.HTTP != nil:
		return handlers.NewHTTP(handlers.HTTPConfig{
			URL:          string(h.HTTP.URL),
			Headers:      headersOf(h.HTTP.Headers),
			DeadLetterOn: h.HTTP.DeadLetterOn,
			Connections:  workers,
			UserAgent:    "spillway/" + readBuild().Version,
		})
	case h.Exec != nil:
		return handlers.NewExec(handlers.ExecConfig{Command: h.Exec.Command, Environ: environ, Logger: log})
	}
	return handlers.Discard{Delay: h.Discard.Delay}, nil
}

func headersOf(from map[string]config.Header) map[string]handlers.HeaderValue {
	to := make(map[string]handlers.HeaderValue, len(from))
	for name, h := range from {
		to[name] = handlers.HeaderValue{Value: string(h.Value), File: h.File}
	}
	return to
}
