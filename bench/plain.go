package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/measure"
)

// The contestants of nats.go alone.
var (
	consumeCallback = contestant{name: "nats.go Consume, Ack in the callback", start: startCallback}
	consumePool     = contestant{name: "nats.go Consume, channel, 16 workers", start: startPool}
	fetchLoop       = contestant{name: "nats.go Fetch(500) loop", start: startFetch}
)

const (
	workers    = 16 // of everyone who has workers
	fetchBatch = 500
)

// plainConsumer makes a durable as all plain contestants use it.
func plainConsumer(ctx context.Context, js jetstream.JetStream, stream, durable string) (jetstream.Consumer, error) {
	return js.CreateConsumer(ctx, stream, jetstream.ConsumerConfig{
		Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: ackWait, MaxAckPending: ackPending,
	})
}

func startCallback(ctx context.Context, r *race) (func() (string, error), error) {
	durable, err := plainConsumer(ctx, r.js, r.stream, r.durable)
	if err != nil {
		return nil, err
	}
	r.begin()
	running, err := durable.Consume(func(m jetstream.Msg) {
		r.handle()
		_ = m.Ack() // what is not acked is missed at the end
	})
	if err != nil {
		return nil, err
	}
	return func() (string, error) {
		running.Stop()
		<-running.Closed()
		return r.redelivered(ctx), nil
	}, nil
}

func startPool(ctx context.Context, r *race) (func() (string, error), error) {
	durable, err := plainConsumer(ctx, r.js, r.stream, r.durable)
	if err != nil {
		return nil, err
	}
	r.begin()
	pool, err := measure.StartPool(durable, workers, func(m jetstream.Msg) {
		r.handle()
		_ = m.Ack()
	})
	if err != nil {
		return nil, err
	}
	return func() (string, error) {
		pool.Stop()
		return r.redelivered(ctx), nil
	}, nil
}

func startFetch(ctx context.Context, r *race) (func() (string, error), error) {
	durable, err := plainConsumer(ctx, r.js, r.stream, r.durable)
	if err != nil {
		return nil, err
	}
	loop, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	r.begin()
	go func() { ended <- fetch(loop, durable, r) }()
	return func() (string, error) {
		cancel()
		return r.redelivered(ctx), <-ended
	}, nil
}

func fetch(ctx context.Context, durable jetstream.Consumer, r *race) error {
	for ctx.Err() == nil {
		batch, err := durable.Fetch(fetchBatch, jetstream.FetchMaxWait(100*time.Millisecond))
		if err != nil {
			return fmt.Errorf("fetch: %w", err)
		}
		for m := range batch.Messages() {
			r.handle()
			_ = m.Ack()
		}
		if err := batch.Error(); err != nil && !errors.Is(err, jetstream.ErrNoMessages) {
			return fmt.Errorf("fetch: %w", err)
		}
	}
	return nil
}
