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
	news, err := newRedisNews(log.With("redis", cfg.URL.String(), "on_error", cfg.OnError))
	if err != nil {
		_ = client.Close()
		return nil, err
	}
	settings := cfg.Limiter()
	settings.OnDegraded = news.degraded
	rates, err := redisbucket.New(client, settings)
	if err != nil {
		_ = client.Close()
		return nil, &usageError{fmt.Errorf("redis: %w", err)}
	}
	news.ask(func() error { return rates.Stats().Cause })
	return &fleetRates{limiter: rates, client: client, news: news}, nil
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

// A redisNews logs when shared rates are decided without Redis, and when with it again. Of a
// Redis that comes and goes a few turns are logged at once, and then in a while what is so, if
// that is not what was said last.
type redisNews struct {
	log *slog.Logger

	mu    sync.Mutex // guards what follows; nothing is logged under it
	pace  *limiter.TokenBucket
	cause func() error
	so    bool // degraded
	said  bool
	turns int // since something was said
	later *time.Timer
	ended bool
}

// newsPace is how often a line is written.
var newsPace = limiter.Rate{Events: 1, Per: 30 * time.Second, Burst: 4}

func newRedisNews(log *slog.Logger) (*redisNews, error) {
	pace, err := limiter.NewTokenBucket(newsPace)
	return &redisNews{log: log, pace: pace, cause: func() error { return nil }}, err
}

// ask says who knows the last error of Redis.
func (n *redisNews) ask(cause func() error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cause = cause
}

// degraded takes in what is so now.
func (n *redisNews) degraded(so bool) {
	n.mu.Lock()
	n.so = so
	n.turns++
	tell := n.news(time.Now())
	n.mu.Unlock()
	tell()
}

// again looks at what could not be told at once.
func (n *redisNews) again() {
	n.mu.Lock()
	tell := n.news(time.Now())
	n.mu.Unlock()
	tell()
}

// news returns what tells what is new, which is to be called without mu. It requires mu.
func (n *redisNews) news(now time.Time) (tell func()) {
	if n.ended || n.so == n.said {
		return func() {}
	}
	if !n.pace.AllowN(now, 1) {
		n.await(now)
		return func() {}
	}
	so, turns, cause := n.so, n.turns, n.cause
	n.said, n.turns = so, 0
	if so {
		return func() {
			n.log.Warn("Redis does not answer: shared rates are decided without it", "turns", turns, "error", cause())
		}
	}
	return func() { n.log.Info("Redis answers again: shared rates hold for all processes", "turns", turns) }
}

// await requires mu.
func (n *redisNews) await(now time.Time) {
	at, _ := n.pace.Next(now, 1)
	if n.later == nil {
		n.later = time.AfterFunc(at.Sub(now), n.again)
	} else {
		n.later.Reset(at.Sub(now))
	}
}

// stop ends the news.
func (n *redisNews) stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	if n.later != nil {
		n.later.Stop()
	}
}
