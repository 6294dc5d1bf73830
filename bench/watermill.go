package main

import (
	"context"
	"time"

	watermill "github.com/ThreeDotsLabs/watermill-nats/v2/pkg/nats"
	"github.com/nats-io/nats.go"
)

const watermillSubscribers = 8

// The contestants of Watermill: as it comes, waiting for each ack to be confirmed, and
// with its option to send acks as everybody else here does.
var (
	watermillSync  = contestant{name: "Watermill, 8 subscribers, AckSync", start: watermillStart(false)}
	watermillAsync = contestant{name: "Watermill, 8 subscribers, AckAsync", start: watermillStart(true)}
)

func watermillStart(ackAsync bool) func(context.Context, *race) (func() (string, error), error) {
	return func(ctx context.Context, r *race) (func() (string, error), error) {
		return startWatermill(ctx, r, ackAsync)
	}
}

func startWatermill(ctx context.Context, r *race, ackAsync bool) (func() (string, error), error) {
	// Its Close drains the connection, so that is one of its own.
	nc, err := nats.Connect(r.js.Conn().ConnectedUrl(), nats.InProcessServer(r.js.Conn().Opts.InProcessServer))
	if err != nil {
		return nil, err
	}
	sub, err := watermill.NewSubscriberWithNatsConn(nc, watermill.SubscriberSubscriptionConfig{
		Unmarshaler:      &watermill.NATSMarshaler{},
		QueueGroupPrefix: r.durable,
		SubscribersCount: watermillSubscribers,
		CloseTimeout:     time.Second,
		AckWaitTimeout:   ackWait,
		JetStream: watermill.JetStreamConfig{
			AckAsync:      ackAsync,
			DurablePrefix: r.durable,
			SubscribeOptions: []nats.SubOpt{
				nats.DeliverAll(), nats.AckExplicit(), nats.AckWait(ackWait), nats.MaxAckPending(ackPending),
			},
		},
	}, nil)
	if err != nil {
		nc.Close()
		return nil, err
	}
	r.begin()
	messages, err := sub.Subscribe(ctx, r.filter())
	if err != nil {
		return nil, err
	}
	for range watermillSubscribers {
		go func() { // ends when the subscriber is closed
			for m := range messages {
				r.handle()
				m.Ack()
			}
		}()
	}
	return func() (string, error) {
		note := r.redelivered(ctx)
		return note, sub.Close()
	}, nil
}
