package metrics_test

import (
	"context"
	"log"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
)

func ExampleNew() {
	nc, err := nats.Connect(nats.DefaultURL)
	if err != nil {
		log.Fatal(err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		log.Fatal(err)
	}
	resize := func(ctx context.Context, m *consumer.Message) error { return nil }
	c, err := consumer.New(js, consumer.Config{Stream: "JOBS", Durable: "worker"}, consumer.HandlerFunc(resize))
	if err != nil {
		log.Fatal(err)
	}
	m, err := metrics.New(c, metrics.Options{Tenants: 20}) // before Run
	if err != nil {
		log.Fatal(err)
	}
	prometheus.MustRegister(m)
	log.Fatal(c.Run(context.Background()))
}
