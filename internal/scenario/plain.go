package scenario

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// plainBuffer is how many messages wait in the channel of a plain consumer.
const plainBuffer = 1024

// Plain is the consumer that people write by hand: Consume into a channel that workers read.
type Plain struct {
	Workers       int
	AckWait       time.Duration // default: that of the server, 30s
	MaxAckPending int           // default: that of the server, 1000
	Handle        func(m jetstream.Msg)
}

// plainRun is one that runs.
type plainRun struct {
	js       jetstream.JetStream
	durable  jetstream.Consumer
	running  jetstream.ConsumeContext
	quit     chan struct{}
	workers  sync.WaitGroup
	messages chan jetstream.Msg
}

// plain starts p on a durable of the stream, and on a connection of its own.
func (b *bed) plain(ctx context.Context, durable string, p Plain) (*plainRun, error) {
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

func startPlain(ctx context.Context, js jetstream.JetStream, stream, durable string, p Plain) (*plainRun, error) {
	setup, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	c, err := js.CreateOrUpdateConsumer(setup, stream, jetstream.ConsumerConfig{
		Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: p.AckWait, MaxAckPending: p.MaxAckPending,
	})
	if err != nil {
		return nil, err
	}
	run := &plainRun{js: js, durable: c, quit: make(chan struct{}), messages: make(chan jetstream.Msg, plainBuffer)}
	for range p.Workers {
		run.workers.Go(func() { run.work(p.Handle) })
	}
	run.running, err = c.Consume(func(m jetstream.Msg) {
		select {
		case run.messages <- m:
		case <-run.quit:
		}
	})
	if err != nil {
		close(run.quit)
		run.workers.Wait()
		return nil, err
	}
	return run, nil
}

func (r *plainRun) work(handle func(jetstream.Msg)) {
	for {
		select { // what is to quit does not take one more message
		case <-r.quit:
			return
		default:
		}
		select {
		case m := <-r.messages:
			handle(m)
		case <-r.quit:
			return
		}
	}
}

// stop ends it as most programs do: no more messages, handlers that run are waited for.
func (r *plainRun) stop() {
	close(r.quit)
	r.running.Stop()
	<-r.running.Closed()
	r.workers.Wait()
	_ = r.js.Conn().FlushTimeout(patience) // what it does not send comes again, and is counted
	r.js.Conn().Close()
}
