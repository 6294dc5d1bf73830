package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"
)

const publishWindow = 2048 // unconfirmed messages of a fill; the server queues 10,000

// backlog is a stream as a scenario wants it: messages of size bytes each, whose
// subjects go round the tenants: <stream>.t<number>.run.
type backlog struct {
	stream   string
	messages int
	tenants  int
	size     int
}

func (b backlog) filter() string { return b.stream + ".>" }

// fill makes the stream anew and returns when every message is stored.
func (b backlog) fill(ctx context.Context, js jetstream.JetStream) error {
	if err := dropStream(ctx, js, b.stream); err != nil {
		return err
	}
	_, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: b.stream, Subjects: []string{b.filter()}})
	if err != nil {
		return fmt.Errorf("bench: create stream %s: %w", b.stream, err)
	}
	subjects := make([]string, b.tenants)
	for i := range subjects {
		subjects[i] = b.stream + ".t" + strconv.Itoa(i) + ".run"
	}
	payload := make([]byte, b.size)
	for i := range b.messages {
		if err := b.publish(ctx, js, i, subjects[i%b.tenants], payload); err != nil {
			return fmt.Errorf("bench: fill %s: message %d: %w", b.stream, i, err)
		}
	}
	return b.stored(ctx, js)
}

// publish waits for the confirmation of one message in many: the stream confirms in
// order, and drops what it is sent when it has too much of it.
func (b backlog) publish(ctx context.Context, js jetstream.JetStream, i int, subject string, payload []byte) error {
	if i%publishWindow != 0 && i != b.messages-1 {
		return js.Conn().Publish(subject, payload)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := js.Publish(ctx, subject, payload)
	return err
}

// stored makes sure that all of it is there.
func (b backlog) stored(ctx context.Context, js jetstream.JetStream) error {
	s, err := js.Stream(ctx, b.stream)
	if err != nil {
		return fmt.Errorf("bench: fill %s: %w", b.stream, err)
	}
	if n := s.CachedInfo().State.Msgs; n != uint64(b.messages) {
		return fmt.Errorf("bench: stream %s holds %d messages, must hold %d", b.stream, n, b.messages)
	}
	return nil
}
