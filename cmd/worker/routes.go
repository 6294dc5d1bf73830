package main

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/handlers"
	"github.com/spillwaymq/spillway/consumer"
)

// routes makes the handlers of cfg, each within wrap, if that is given. closeAll ends
// what they keep open. The error tells every handler that cannot be made.
func routes(cfg *config.Config, environ []string, log *slog.Logger, wrap func(consumer.Handler) consumer.Handler) (mux *consumer.Mux, closeAll func(), err error) {
	mux = new(consumer.Mux)
	var closers []func()
	var errs []error
	for i, h := range cfg.Handlers {
		handler, err := newHandler(h, cfg.Workers, environ, log)
		if err != nil {
			errs = append(errs, cfg.Problem(fmt.Sprintf("handlers[%d].%s", i, h.Kind()), err))
			continue
		}
		if c, ok := handler.(interface{ Close() }); ok {
			closers = append(closers, c.Close)
		}
		if wrap != nil {
			handler = wrap(handler)
		}
		mux.Route(consumer.Route{Subject: h.Subject, Handler: handler, Downstream: h.Downstream, Timeout: h.Timeout()})
	}
	closeAll = func() {
		for _, c := range closers {
			c()
		}
	}
	if err := errors.Join(errs...); err != nil {
		closeAll()
		return nil, nil, &usageError{err}
	}
	return mux, closeAll, nil
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
