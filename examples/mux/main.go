// Command mux routes kinds of work to handlers, and protects what each of them calls:
//
//	nats-server -js
//	go run ./examples/mux --billing http://127.0.0.1:9000/invoice
//	nats pub jobs.acme.invoice '{"total": 12}'
//	nats pub jobs.acme.mail '{"to": "a@example.com"}'
//
// Messages for billing wait apart from mail: one that is slow or down does not hold back
// the other. go run ./examples/downstream is something to call.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

func main() {
	url := flag.String("nats", nats.DefaultURL, "the URL of NATS")
	billing := flag.String("billing", "http://127.0.0.1:9000/invoice", "where invoices are posted to")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *url, *billing); err != nil {
		fmt.Fprintln(os.Stderr, "mux:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, url, billing string) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	c, err := newConsumer(js, invoice(billing), mail)
	if err != nil {
		return err
	}
	return c.Run(ctx)
}

func newConsumer(js jetstream.JetStream, invoice, mail consumer.HandlerFunc) (*consumer.Consumer, error) {
	var mux consumer.Mux // the most specific subject wins; what no route takes is dead-lettered
	mux.Route(consumer.Route{Subject: "jobs.*.invoice", Handler: invoice, Downstream: "billing", Timeout: 10 * time.Second})
	mux.Route(consumer.Route{Subject: "jobs.*.mail", Handler: mail, Downstream: "mail", Timeout: time.Minute})
	return consumer.New(js, consumer.Config{
		Stream: "JOBS", Durable: "mux", Subjects: []string{"jobs.>"},
		Tenant: consumer.SubjectToken(2),
		Downstreams: map[string]consumer.Downstream{
			// An adaptive limit is the default: it finds how many calls billing serves well.
			"billing": {Breaker: consumer.Breaker{FailureRatio: 0.3, Open: 10 * time.Second}},
			// What the provider of mail allows, and no more than 4 connections.
			"mail": {
				Limit: consumer.Limit{Algorithm: limiter.Fixed, Max: 4},
				Rate:  limiter.Rate{Events: 10, Per: time.Second, Burst: 5},
			},
		},
		Logger: slog.Default(),
	}, &mux)
}

// invoice posts to billing, and tells what its answer means.
func invoice(billing string) consumer.HandlerFunc {
	return func(ctx context.Context, m *consumer.Message) error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, billing, bytes.NewReader(m.Data))
		if err != nil {
			return err
		}
		req.Header.Set("Idempotency-Key", fmt.Sprintf("%s-%d", m.Stream, m.Sequence)) // it may come twice
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err // tried again, with backoff; enough of them open the breaker
		}
		defer func() { _ = resp.Body.Close() }()
		return meaning(resp.StatusCode)
	}
}

func meaning(status int) error {
	err := errors.New("billing answers " + http.StatusText(status))
	switch {
	case status < 300:
		return nil
	case status == http.StatusTooManyRequests, status == http.StatusServiceUnavailable:
		return consumer.Overloaded(err, 0) // no attempt is spent, and the limit falls
	case status == http.StatusBadRequest, status == http.StatusUnprocessableEntity:
		return consumer.DeadLetter(err) // it will never go
	}
	return err
}

// mail would send one.
func mail(_ context.Context, m *consumer.Message) error {
	slog.Info("mail", "tenant", m.Tenant, "size", len(m.Data))
	return nil
}
