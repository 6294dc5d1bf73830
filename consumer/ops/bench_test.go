package ops_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/consumer/ops"
)

// BenchmarkThroughput is of messages of 10,000 tenants, handled by nothing: without this
// package, with it, and with a page that is open. Run it with a fixed number of messages, as
//
//	go test ./consumer/ops -run ^$ -bench Throughput -benchtime 1000000x -count 3
func BenchmarkThroughput(b *testing.B) {
	b.Run("bare", func(b *testing.B) { throughput(b, nil) })
	b.Run("served", func(b *testing.B) {
		throughput(b, func(c *consumer.Consumer) func() {
			if _, err := ops.New(ops.Config{Consumer: c, Listen: local}); err != nil {
				b.Fatal(err)
			}
			return func() {}
		})
	})
	b.Run("page", func(b *testing.B) {
		throughput(b, func(c *consumer.Consumer) func() { return openPage(b, c) })
	})
}

// openPage serves c, and reads its events as a page does.
func openPage(b *testing.B, c *consumer.Consumer) (done func()) {
	h, err := ops.New(ops.Config{Consumer: c, Listen: local})
	if err != nil {
		b.Fatal(err)
	}
	server := httptest.NewServer(h)
	resp, err := http.Get(server.URL + "/api/v1/events?top=50")
	if err != nil {
		b.Fatal(err)
	}
	read := make(chan int64)
	go func() {
		n, _ := io.Copy(io.Discard, resp.Body)
		read <- n
	}()
	return func() {
		_ = resp.Body.Close()
		b.ReportMetric(float64(<-read)/b.Elapsed().Seconds()/1024, "KiB/s")
		server.Close()
	}
}

func throughput(b *testing.B, serve func(*consumer.Consumer) func()) {
	s := consumertest.NewServer(b)
	s.Stream(b, "JOBS", "jobs.>")
	js := s.JetStream(b)
	const tenants = 10_000
	subjects := make([]string, tenants)
	for i := range subjects {
		subjects[i] = fmt.Sprintf("jobs.tenant-%d.x", i)
	}
	body := make([]byte, 128)
	for i := range b.N {
		if _, err := js.PublishAsync(subjects[i%tenants], body); err != nil {
			b.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()

	var handled atomic.Int64
	all := make(chan struct{})
	c, err := consumer.New(js, consumer.Config{
		Stream: "JOBS", Durable: "w", Tenant: consumer.SubjectToken(2), Workers: 16,
	}, consumer.HandlerFunc(func(context.Context, *consumer.Message) error {
		if handled.Add(1) == int64(b.N) {
			close(all)
		}
		return nil
	}))
	if err != nil {
		b.Fatal(err)
	}
	if serve != nil {
		defer serve(c)()
	}
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	ended := make(chan error, 1)
	b.ResetTimer()
	go func() { ended <- c.Run(ctx) }()
	<-all
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	cancel()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
