// Command hello is the smallest consumer: it prints what is published, by tenant.
//
//	nats-server -js
//	go run ./examples/hello
//	nats pub jobs.acme.greet hello
package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

func main() {
	ctx, _ := signal.NotifyContext(context.Background(), os.Interrupt) // which drains
	nc, err := nats.Connect(nats.DefaultURL)
	if err == nil {
		err = hello(ctx, nc, os.Stdout)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func hello(ctx context.Context, nc *nats.Conn, out io.Writer) error {
	js, _ := jetstream.New(nc) // fails for wrong options only, and there are none
	c, err := consumer.New(js, consumer.Config{
		Stream: "JOBS", Durable: "hello", Subjects: []string{"jobs.>"},
		Tenant: consumer.SubjectToken(2), // jobs.<tenant>.<kind>
	}, consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
		_, err := fmt.Fprintf(out, "%s: %s\n", m.Tenant, m.Data)
		return err // nil acknowledges; an error is tried again
	}))
	if err != nil {
		return err
	}
	return c.Run(ctx)
}
