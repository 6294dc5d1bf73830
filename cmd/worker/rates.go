package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

// fleetRates are the rates that all processes of the durable share, in Redis.
type fleetRates struct {
	limiter *redisbucket.Limiter
	client  io.Closer
	news    *redisNews
}

// openRates returns nil if cfg names no Redis. It does not wait for one, which may be away:
// what happens then is for redis.on_error to say.
func openRates(cfg config.Redis, password string, log *slog.Logger) (*fleetRates, error) {
	if cfg.URL == "" {
		return nil, nil
	}
	redisbucket.LogTo(log)
	client, err := redisbucket.Dial(cfg.URL.With(password))
	if err != nil {
		return nil, &usageError{fmt.Errorf("redis.url: %w", err)}
	}
	r := &fleetRates{client: client, news: newRedisNews(log.With("redis", cfg.URL.String(), "on_error", cfg.OnError))}
	settings := cfg.Limiter()
	settings.OnDegraded = r.news.degraded
	if r.limiter, err = redisbucket.New(client, settings); err != nil {
		_ = client.Close()
		return nil, &usageError{fmt.Errorf("redis: %w", err)}
	}
	r.news.tellCause(func() error { return r.limiter.Stats().Cause })
	return r, nil
}

// shared is the SharedRate of a consumer; nil without a Redis.
func (r *fleetRates) shared() func(string, limiter.Rate) (consumer.RateLimiter, error) {
	if r == nil {
		return nil
	}
	return func(key string, rate limiter.Rate) (consumer.RateLimiter, error) { return r.limiter.Bucket(key, rate) }
}

// close must come after the consumer has ended.
func (r *fleetRates) close() {
	if r == nil {
		return
	}
	r.limiter.Close()
	r.news.stop()
	_ = r.client.Close()
}

// newsQuiet is how long nothing more is logged of a Redis that comes and goes.
const newsQuiet = 10 * time.Second

// redisNews logs when shared rates are decided without Redis, and when with it again: what is
// new at once, then nothing for a while, then what is so if it is not what was said.
type redisNews struct {
	log *slog.Logger

	mu     sync.Mutex // guards what follows; nothing is logged under it
	cause  func() error
	so     bool // degraded
	said   bool
	turns  int // since something was said
	quiet  *time.Timer
	silent bool // quiet has not passed
	ended  bool
}

func newRedisNews(log *slog.Logger) *redisNews { return &redisNews{log: log} }

// tellCause says whom to ask for the last error of Redis.
func (n *redisNews) tellCause(f func() error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cause = f
}

// degraded takes in what is so now.
func (n *redisNews) degraded(so bool) {
	n.mu.Lock()
	n.so = so
	n.turns++
	tell := n.news()
	n.mu.Unlock()
	tell()
}

// again is called when the quiet time has passed.
func (n *redisNews) again() {
	n.mu.Lock()
	n.silent = false
	tell := n.news()
	n.mu.Unlock()
	tell()
}

// news requires mu. It returns what tells what is new, without mu.
func (n *redisNews) news() func() {
	if n.silent || n.ended || n.so == n.said {
		return func() {}
	}
	n.said, n.silent = n.so, true
	args := []any{"turns", n.turns}
	n.turns = 0
	if n.quiet == nil {
		n.quiet = time.AfterFunc(newsQuiet, n.again)
	} else {
		n.quiet.Reset(newsQuiet)
	}
	so, cause := n.so, n.cause
	return func() {
		if !so {
			n.log.Info("Redis answers again: shared rates hold for all processes", args...)
			return
		}
		if cause != nil {
			args = append(args, "error", cause())
		}
		n.log.Warn("Redis does not answer: shared rates are decided without it", args...)
	}
}

// stop ends the news.
func (n *redisNews) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	if n.quiet != nil {
		n.quiet.Stop()
	}
}
