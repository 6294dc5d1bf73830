package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

// connect starts a NATS server for an example; a real program connects to its own.
func connect() (js jetstream.JetStream, closeAll func(), err error) {
	dir, err := os.MkdirTemp("", "example")
	if err != nil {
		return nil, nil, err
	}
	s, err := server.NewServer(&server.Options{DontListen: true, JetStream: true, StoreDir: dir, NoSigs: true, JetStreamMaxStore: 1 << 50})
	if err != nil {
		return nil, nil, err
	}
	s.Start()
	s.ReadyForConnections(10 * time.Second)
	nc, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		return nil, nil, err
	}
	js, err = jetstream.New(nc)
	return js, func() { nc.Close(); s.Shutdown(); s.WaitForShutdown(); _ = os.RemoveAll(dir) }, err
}

func Example() {
	js, closeAll, err := connect()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer closeAll()
	ctx, stop := context.WithCancel(context.Background())

	c, err := consumer.New(js, consumer.Config{
		Stream:   "JOBS",
		Durable:  "worker",
		Subjects: []string{"jobs.>"},
		Tenant:   consumer.SubjectToken(2), // jobs.<tenant>.<kind>
	}, consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
		fmt.Printf("%s: %s\n", m.Tenant, m.Data)
		stop() // after one message, for the example
		return nil
	}))
	if err != nil {
		fmt.Println(err)
		return
	}
	go publishOne(js, "jobs.acme.greet", "hello")
	if err := c.Run(ctx); err != nil { // returns when ctx is done and the drain has ended
		fmt.Println(err)
	}
	// Output: acme: hello
}

// publishOne publishes as soon as there is a stream for it.
func publishOne(js jetstream.JetStream, subject, data string) {
	for {
		if _, err := js.Publish(context.Background(), subject, []byte(data), jetstream.WithRetryAttempts(100)); err == nil {
			return
		}
	}
}

func ExampleMux() {
	var mux consumer.Mux
	mux.Route(consumer.Route{
		Subject:    "jobs.*.invoice",
		Downstream: "billing", // waits apart from what goes elsewhere
		Timeout:    10 * time.Second,
		Handler: consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
			fmt.Println("invoice for", m.Tenant)
			return nil
		}),
	})
	mux.HandleFunc("jobs.>", func(_ context.Context, m *consumer.Message) error {
		fmt.Println("something else:", m.Subject)
		return nil
	})
	_ = mux.Handle(context.Background(), &consumer.Message{Subject: "jobs.acme.invoice", Tenant: "acme"})
	_ = mux.Handle(context.Background(), &consumer.Message{Subject: "jobs.acme.resize", Tenant: "acme"})
	// Output:
	// invoice for acme
	// something else: jobs.acme.resize
}

func ExampleDownstream() {
	cfg := consumer.Config{
		Stream: "JOBS", Durable: "worker",
		Downstreams: map[string]consumer.Downstream{
			"billing": {
				Limit:   consumer.Limit{Algorithm: limiter.SLO, Target: 250 * time.Millisecond},
				Breaker: consumer.Breaker{FailureRatio: 0.3, Open: 10 * time.Second},
				Rate:    limiter.Rate{Events: 500, Per: time.Second, Burst: 100},
			},
			"legacy": {Limit: consumer.Limit{Algorithm: limiter.Fixed}}, // a mistake
		},
	}
	fmt.Println(cfg.Validate())
	// Output: consumer: Downstreams[legacy].Limit.Max is 0, must be at least 1 for fixed, it is the limit
}

func ExampleRetryAfter() {
	errLocked := errors.New("the account is locked for a minute")
	_ = consumer.HandlerFunc(func(context.Context, *consumer.Message) error {
		return consumer.RetryAfter(errLocked, time.Minute) // an attempt is spent
	})
	fmt.Println(errors.Is(consumer.RetryAfter(errLocked, time.Minute), errLocked))
	// Output: true
}
