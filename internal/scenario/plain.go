package scenario

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/measure"
)

// byHand is the consumer that people write by hand, see measure.Pool.
type byHand struct {
	Workers       int
	AckWait       time.Duration // default: that of the server, 30s
	MaxAckPending int           // default: that of the server, 1000
	Handle        func(m jetstream.Msg)
}

// plainRun is one that runs.
type plainRun struct {
	js   jetstream.JetStream
	pool *measure.Pool
}

// plain starts p on a durable of the stream, and on a connection of its own.
func (b *bed) plain(ctx context.Context, durable string, p byHand) (*plainRun, error) {
	js, err := b.rig.cfg.Connect()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	run, err := startPlain(ctx, js, b.stream, durable, p)
	if err != nil {
		js.Conn().Close()
		return nil, fmt.Errorf("plain consumer: %w", err)
	}
	return run, nil
}

func startPlain(ctx context.Context, js jetstream.JetStream, stream, durable string, p byHand) (*plainRun, error) {
	setup, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := js.CreateOrUpdateConsumer(setup, stream, jetstream.ConsumerConfig{
		Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: p.AckWait, MaxAckPending: p.MaxAckPending,
	})
	if err != nil {
		return nil, err
	}
	pool, err := measure.StartPool(c, p.Workers, p.Handle)
	return &plainRun{js: js, pool: pool}, err
}

// stop ends it, and sends the acks that are on their way.
func (r *plainRun) stop() {
	r.pool.Stop()
	_ = r.js.Conn().FlushTimeout(patience) // what it does not send comes again, and is counted
	r.js.Conn().Close()
}
