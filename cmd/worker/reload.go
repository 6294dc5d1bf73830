package main

import (
	"log/slog"
	"sync"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

// reloader makes a running worker work by what its config says by now.
type reloader struct {
	load  func() (*config.Config, error)
	level *slog.LevelVar
	log   *slog.Logger
	asked chan struct{} // one place: however often it is asked meanwhile, it reads once more

	// shared is the SharedRate of the consumer, set before it is served.
	shared func(key string, r limiter.Rate) (consumer.RateLimiter, error)
	config *config.Config // in force; of the goroutine that serves
}

func newReloader(cfg *config.Config, load func() (*config.Config, error), level *slog.LevelVar, log *slog.Logger) *reloader {
	return &reloader{config: cfg, load: load, level: level, log: log, asked: make(chan struct{}, 1)}
}

// ask asks for the config to be read again, as soon as there is a consumer to give it to.
// It never blocks.
func (r *reloader) ask() {
	select {
	case r.asked <- struct{}{}:
	default:
	}
}

// serve does what is asked until stop is called, and tells how it ended.
func (r *reloader) serve(c *consumer.Consumer, tell func(error)) (stop func()) {
	var served sync.WaitGroup
	stopped := make(chan struct{})
	served.Go(func() {
		for {
			select {
			case <-r.asked:
				next, err := r.reload(c)
				tell(err)
				r.report(next, err)
			case <-stopped:
				return
			}
		}
	})
	return func() {
		close(stopped)
		served.Wait()
	}
}

// reload puts in force what the config says now, or nothing of it.
func (r *reloader) reload(c *consumer.Consumer) (next *config.Config, err error) {
	next, err = r.load()
	if err == nil {
		err = r.config.Replaceable(next)
	}
	if err == nil {
		settings := next.Consumer()
		settings.SharedRate = r.shared
		err = next.Explain(c.Reload(settings))
	}
	if err == nil {
		r.level.Set(next.Log.SlogLevel())
		r.config = next
	}
	return next, err
}

// report logs how a reload ended.
func (r *reloader) report(next *config.Config, err error) {
	if err != nil {
		r.log.Error("the config was not reloaded: the worker goes on as it is", "error", err)
		return
	}
	for _, warning := range next.Warnings() {
		r.log.Warn(warning)
	}
	r.log.Info("the config was reloaded", "workers", next.Workers, "level", next.Log.Level)
}
