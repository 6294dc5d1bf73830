package story

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

// Streams. The copies of what overflows and the dead letters are in streams that the
// consumer makes.
const (
	streamName   = "JOBS"
	durableName  = "worker"
	overflowName = "JOBS_OVERFLOW"
	deadName     = "JOBS_DEAD"
	downstream   = "billing"
)

// makeStream makes the stream that the gateway publishes to. With the retention of a work
// queue a job that is acknowledged is gone: what is there at the end was not done.
func makeStream(ctx context.Context, js jetstream.JetStream) error {
	_, err := js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{"jobs.>"}, Retention: jetstream.WorkQueuePolicy,
	})
	if err != nil {
		return fmt.Errorf("make the stream %s: %w", streamName, err)
	}
	return nil
}

// workerConfig says how jobs are taken and billing is protected. Whatever is not here has
// its default: what a queue has no room for goes to the overflow, the limit of billing is
// found by itself, failed jobs are retried.
func workerConfig(log *slog.Logger) consumer.Config {
	return consumer.Config{
		Stream:  streamName,
		Durable: durableName,
		Tenant:  consumer.SubjectToken(2), // jobs.TENANT.invoice
		Workers: workersOfWorker,
		Tenants: consumer.TenantPolicy{Queue: queueOfTenant},
		Downstreams: map[string]consumer.Downstream{downstream: {
			// Quicker than the defaults, as all of the story fits into a minute.
			Breaker: consumer.Breaker{Window: time.Second, MinCalls: 10, Open: time.Second, MaxOpen: 2 * time.Second},
		}},
		Retry:        consumer.Retry{Initial: 500 * time.Millisecond, Max: 2 * time.Second},
		DrainTimeout: 10 * time.Second,
		Logger:       log,
	}
}

// newWorker returns the consumer, whose handler calls billing at url and tells the book.
func newWorker(js jetstream.JetStream, url string, client *http.Client, b *book, log *slog.Logger) (*consumer.Consumer, error) {
	mux := new(consumer.Mux)
	mux.Route(consumer.Route{
		Subject:    "jobs.*.invoice",
		Downstream: downstream,
		Timeout:    handlerTimeout,
		Handler: consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			b.begun(m, time.Since(m.Published))
			err := bill(ctx, client, url, m)
			b.ended(m, err)
			return err
		}),
	})
	return consumer.New(js, workerConfig(log), mux)
}

// bill calls billing. Its answer becomes what the consumer does next: nil acknowledges the
// job, Overloaded leaves it at the head of its queue and spends no attempt, and any other
// error has it retried later.
func bill(ctx context.Context, client *http.Client, url string, m *consumer.Message) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, bytes.NewReader(m.Data))
	if err != nil {
		return consumer.DeadLetter(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body) // so that the connection can be used again
	switch {
	case resp.StatusCode/100 == 2:
		return nil
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After")) // 0: the consumer chooses
		return consumer.Overloaded(fmt.Errorf("billing: %s", resp.Status), time.Duration(seconds)*time.Second)
	}
	return fmt.Errorf("billing: %s", resp.Status)
}
