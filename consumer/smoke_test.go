package consumer_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func TestSmoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		js := s.JetStream(t)
		s.Stream(t, "JOBS", "jobs.>")
		for i := range 1000 {
			if _, err := js.Publish(t.Context(), fmt.Sprintf("jobs.t%d.x", i%10), []byte("hi")); err != nil {
				t.Fatal(err)
			}
		}
		var mu sync.Mutex
		seen := map[uint64]int{}
		c, err := consumer.New(js, consumer.Config{Stream: "JOBS", Durable: "w", Tenant: consumer.SubjectToken(2)}, consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
			mu.Lock()
			defer mu.Unlock()
			seen[m.Sequence]++
			return nil
		}))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- c.Run(ctx) }()
		time.Sleep(10 * time.Second)
		t.Logf("%+v", c.Snapshot())
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if len(seen) != 1000 {
			t.Fatalf("%d", len(seen))
		}
	})
}
