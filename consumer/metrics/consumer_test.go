package metrics_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/consumer/metrics"
)

// What a consumer really tells arrives in the metrics: seven messages are handled in
// a second each, and three die.
func TestTheMetricsOfAConsumerThatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		s.Stream(t, "JOBS", "jobs.>")
		js := s.JetStream(t)
		c, err := consumer.New(js, consumer.Config{
			Stream: "JOBS", Durable: "worker", Tenant: consumer.SubjectToken(2),
		}, consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
			if m.Tenant == "bad" {
				return consumer.DeadLetter(errors.New("no good"))
			}
			time.Sleep(time.Second)
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		w := &worker{tb: t, registry: prometheus.NewPedanticRegistry()}
		if w.collector, err = metrics.New(c, metrics.Options{}); err != nil {
			t.Fatal(err)
		}
		if err := w.registry.Register(w.collector); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		for i := range 10 {
			subject := "jobs.good"
			if i >= 7 {
				subject = "jobs.bad"
			}
			if _, err := js.Publish(t.Context(), subject, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		w.want(map[string]float64{
			`spillway_messages_pulled_total{lane="main"}`:                                 10,
			`spillway_messages_settled_total{downstream="default",outcome="ack"}`:         7,
			`spillway_messages_settled_total{downstream="default",outcome="dead_letter"}`: 3,
			`spillway_dead_letters_total{reason="permanent"}`:                             3,
			`spillway_handle_seconds{downstream="default",result="success"}`:              7,
			`spillway_handle_seconds{downstream="default",result="dead_letter"}`:          3,
			`spillway_tenant_worker_seconds_total{tenant="good"}`:                         7,
			`spillway_workers`:          64,
			`spillway_in_flight`:        0,
			`spillway_backlog_messages`: 0,
		})
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
