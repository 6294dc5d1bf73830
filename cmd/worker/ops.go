package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
	"github.com/spillwaymq/spillway/consumer/ops"
)

// How long the operations endpoint waits for its clients.
const (
	opsHeaderTimeout = 5 * time.Second
	opsReadTimeout   = 30 * time.Second
	opsIdleTimeout   = 2 * time.Minute
	opsCloseTimeout  = 2 * time.Second
	opsMaxHeader     = 64 << 10
)

// opsServer serves the operations endpoint of one consumer.
type opsServer struct {
	server *http.Server
	config *metrics.Collector // is told of reloads
	addr   string             // where it listens
	log    *slog.Logger
	stop   context.CancelFunc // ends answers that go on, as the events of the page do
	ended  chan struct{}
}

// startOps listens and serves to who has the token; without an address it does nothing.
// It must be called before the consumer runs.
func startOps(cfg config.Ops, token string, c *consumer.Consumer, log *slog.Logger) (*opsServer, error) {
	if cfg.Listen == "" {
		return nil, nil
	}
	handler, collector, err := opsHandler(cfg, token, c, log)
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("ops.listen: %w", err)
	}
	serving, stop := context.WithCancel(context.Background())
	s := &opsServer{addr: listener.Addr().String(), log: log, stop: stop, ended: make(chan struct{}), config: collector, server: &http.Server{
		BaseContext:       func(net.Listener) context.Context { return serving },
		Handler:           handler,
		ReadHeaderTimeout: opsHeaderTimeout,
		ReadTimeout:       opsReadTimeout,
		IdleTimeout:       opsIdleTimeout,
		MaxHeaderBytes:    opsMaxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}
	log.Info("operations endpoint is ready", "url", "http://"+s.addr)
	go s.serve(listener)
	return s, nil
}

func (s *opsServer) serve(listener net.Listener) {
	defer close(s.ended)
	if err := s.server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		s.log.Error("operations endpoint ended", "error", err)
	}
}

// reloaded shows how a reload of the config ended.
func (s *opsServer) reloaded(err error) {
	if s != nil {
		s.config.Reloaded(err)
	}
}

// close ends the endpoint, and with it the answers that take long.
func (s *opsServer) close() {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), opsCloseTimeout)
	defer cancel()
	s.stop()
	if err := s.server.Shutdown(ctx); err != nil {
		_ = s.server.Close()
	}
	<-s.ended
}

func opsHandler(cfg config.Ops, token string, c *consumer.Consumer, log *slog.Logger) (http.Handler, *metrics.Collector, error) {
	collector, err := metrics.New(c, metrics.Options{Version: readBuild().Version})
	if err != nil {
		return nil, nil, err
	}
	scrape, err := metrics.Handler(collector)
	if err != nil {
		return nil, nil, err
	}
	handler, err := ops.New(ops.Config{Consumer: c, Metrics: scrape, Listen: cfg.Listen, Token: token, Logger: log})
	return handler, collector, err
}
