package handlers_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// verdict runs h once, in a consumer, and returns how that took what h returned.
func verdict(t *testing.T, h consumer.Handler, m *consumer.Message) consumer.Result {
	t.Helper()
	s := consumertest.NewServer(t)
	js := s.JetStream(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var first atomic.Bool
	results := make(chan consumer.Result, 1)
	c, err := consumer.New(js, consumer.Config{Stream: "JOBS", Durable: "worker", Subjects: []string{"jobs"}}, consumer.HandlerFunc(
		func(ctx context.Context, _ *consumer.Message) error {
			if !first.CompareAndSwap(false, true) {
				return nil // what is overloaded comes again, until it is done
			}
			return h.Handle(ctx, m)
		},
	))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Observe(consumer.Observer{Handled: func(e consumer.Handled) {
		select {
		case results <- e.Result:
			cancel()
		default: // the message came again
		}
	}}); err != nil {
		t.Fatal(err)
	}
	s.Stream(t, "JOBS", "jobs")
	if _, err := js.Publish(ctx, "jobs", nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return <-results
}
