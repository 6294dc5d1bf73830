package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/measure"
)

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
	return measure.Fill(ctx, js, b.stream, b.messages, func(i int) (string, []byte) { return subjects[i%len(subjects)], payload })
}
