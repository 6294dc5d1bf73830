package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/measure"
)

const (
	childArg = "child"              // instead of a scenario: be a consumer, as told on stdin
	childEnv = "SPILLWAY_BENCH_RUN" // tells the test binary that it is a child
)

// task is what a child process is told.
type task struct {
	URL, Stream, Durable string
	Ours                 bool
	Messages             int           // after which it is done
	For                  time.Duration // after which it stops
	Service              time.Duration // of a handler
	BufferMessages       int           // 0: the default
}

// outcome is what it answers.
type outcome struct {
	usage
	Handled   int64  `json:"handled"`
	HeldBytes int64  `json:"held_bytes"` // the most that Spillway held, as the server counts
	Held      int    `json:"held"`
	Note      string `json:"note"`
}

func (o outcome) String() string {
	s := fmt.Sprintf("live %v, heap %v, rss %v, %d handled", mib(o.Live), mib(o.Objects), mib(o.RSS), o.Handled)
	if o.Held > 0 {
		s += fmt.Sprintf(", held at most %d messages of %v", o.Held, mib(uint64(o.HeldBytes)))
	}
	if o.Note != "" {
		s += ", " + o.Note
	}
	return s
}

func mib(n uint64) figure { return figure{float64(n), bytes} }

// child reads a task, does it and writes the outcome.
func child(ctx context.Context, stdin io.Reader, stdout, stderr io.Writer) int {
	var t task
	err := json.NewDecoder(stdin).Decode(&t)
	if err == nil {
		var o outcome
		if o, err = t.do(ctx); err == nil {
			err = json.NewEncoder(stdout).Encode(o)
		}
	}
	if err != nil {
		_, _ = fmt.Fprintln(stderr, "bench child:", err)
		return exitMissed
	}
	return exitHeld
}

// do consumes until all messages were handled or time is up.
func (t task) do(ctx context.Context) (o outcome, err error) {
	js, err := dial(t.URL, nats.Timeout(patience))
	if err != nil {
		return o, err
	}
	defer js.Conn().Close()
	work, cancel := context.WithTimeout(ctx, t.For)
	defer cancel()
	var handled atomic.Int64
	handle := func() {
		if t.Service > 0 {
			time.Sleep(t.Service)
		}
		if handled.Add(1) == int64(t.Messages) {
			cancel()
		}
	}
	var watching sync.WaitGroup
	watching.Go(func() { o.watch(work) })
	if t.Ours {
		err = t.consume(ctx, work, js, handle, &o)
	} else {
		err = t.consumePlain(ctx, work, js, handle)
	}
	cancel()
	watching.Wait()
	o.Handled = handled.Load()
	return o, err
}

func (t task) config() consumer.Config {
	return consumer.Config{
		Stream: t.Stream, Durable: t.Durable, Workers: memoryWorkers, AckWait: ackWait,
		Buffer:       consumer.Buffer{Messages: t.BufferMessages, Bytes: bufferBytes},
		DrainTimeout: time.Millisecond,
	}
}

// consume is ours. It uses ctx to live and work to know when to stop.
func (t task) consume(ctx, work context.Context, js jetstream.JetStream, handle func(), o *outcome) error {
	s, err := runSpillway(ctx, js, t.config(), func(*consumer.Message) { handle() })
	if err != nil {
		return err
	}
	for work.Err() == nil {
		now := s.Snapshot()
		o.Held, o.HeldBytes = max(o.Held, now.Held), max(o.HeldBytes, now.HeldBytes)
		select {
		case <-work.Done():
		case <-time.After(50 * time.Millisecond):
		}
	}
	o.Note = s.note()
	return s.stop()
}

func (t task) consumePlain(ctx, work context.Context, js jetstream.JetStream, handle func()) error {
	durable, err := plainConsumer(ctx, js, t.Stream, t.Durable)
	if err != nil {
		return err
	}
	pool, err := measure.StartPool(durable, memoryWorkers, func(m jetstream.Msg) {
		handle()
		_ = m.Ack() // what is not acked comes again
	})
	if err != nil {
		return err
	}
	<-work.Done()
	pool.Stop()
	return nil
}
