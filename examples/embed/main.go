// Command embed is a worker of one's own: Go handlers, with the metrics, the health checks
// and the page that the command worker has, in a program that reads its own settings.
//
//	nats-server -js
//	go run ./examples/embed --nats nats://127.0.0.1:4222 --listen 127.0.0.1:8080
//	curl http://127.0.0.1:8080/readyz
//
// The config file of the command belongs to the command. A program has consumer.Config,
// which has the same keys, and fills it from where its other settings come from.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
	"github.com/spillwaymq/spillway/consumer/ops"
)

func main() {
	url := flag.String("nats", nats.DefaultURL, "the URL of NATS")
	listen := flag.String("listen", "127.0.0.1:8080", "where metrics, health and page are")
	flag.Parse()
	log := slog.New(slog.NewJSONHandler(os.Stderr, nil))

	// The first signal drains. After it signals have their usual effect: a second one ends.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	listener, err := net.Listen("tcp", *listen)
	if err == nil {
		err = run(ctx, *url, listener, os.Getenv("OPS_TOKEN"), log, work)
	}
	if err != nil {
		log.Error("ended", "error", err)
		os.Exit(1)
	}
}

// work is what this worker is for.
func work(_ context.Context, m *consumer.Message) error {
	slog.Info("done", "tenant", m.Tenant, "subject", m.Subject, "attempt", m.Attempt)
	return nil
}

// run consumes until ctx ends and the drain is over; until then it can be watched.
func run(ctx context.Context, url string, listener net.Listener, token string, log *slog.Logger, work consumer.HandlerFunc) error {
	defer func() { _ = listener.Close() }() // if it was never served
	nc, err := nats.Connect(url, nats.MaxReconnects(-1), nats.Name("embed"))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	c, err := consumer.New(js, consumer.Config{
		Stream: "JOBS", Durable: "embed", Subjects: []string{"jobs.>"},
		Tenant: consumer.SubjectToken(2), DrainTimeout: 20 * time.Second, Logger: log,
	}, work)
	if err != nil {
		return err
	}
	server, err := operations(c, listener.Addr().String(), token, log)
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	err = c.Run(ctx) // readyz fails from the begin of the drain on, livez does not
	err = errors.Join(err, server.Close())
	if e := <-served; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("the operations endpoint ended: %w", e))
	}
	return err
}

// operations is the endpoint that shows c. It must be made before c runs, so that the
// metrics count from the start.
func operations(c *consumer.Consumer, listen, token string, log *slog.Logger) (*http.Server, error) {
	collector, err := metrics.New(c, metrics.Options{}) // or register it with your registry
	if err != nil {
		return nil, err
	}
	scrape, err := metrics.Handler(collector)
	if err != nil {
		return nil, err
	}
	handler, err := ops.New(ops.Config{Consumer: c, Metrics: scrape, Listen: listen, Token: token, Logger: log})
	if err != nil {
		return nil, err
	}
	return &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}, nil
}
