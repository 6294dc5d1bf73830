package scenario

import (
	"context"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
)

// fillWindow is how many messages of a fill are sent between two that are confirmed; the
// server drops what it is sent when 10,000 wait.
const fillWindow = 2048

// fill publishes n messages and returns when all are stored, or one is not.
func (b *bed) fill(ctx context.Context, n int, message func(i int) (subject string, payload []byte)) error {
	b.rig.Say("filling the stream with %s messages", grouped(int64(n)))
	before, err := b.stored(ctx)
	if err != nil {
		return err
	}
	for i := range n {
		subject, payload := message(i)
		if err := b.publish(ctx, subject, payload, i%fillWindow == 0 || i == n-1); err != nil {
			return fmt.Errorf("fill: message %d of %d: %w", i+1, n, err)
		}
	}
	after, err := b.stored(ctx)
	if err == nil && after-before != uint64(n) {
		err = fmt.Errorf("fill: the stream has taken %d of %d messages", after-before, n)
	}
	return err
}

// publish sends a message. The stream confirms in the order in which it stores.
func (b *bed) publish(ctx context.Context, subject string, payload []byte, confirm bool) error {
	if !confirm {
		return b.rig.js.Conn().Publish(subject, payload)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err := b.rig.js.PublishMsg(ctx, &nats.Msg{Subject: subject, Data: payload})
	return err
}

// stored returns how many messages the stream holds.
func (b *bed) stored(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := b.rig.js.Stream(ctx, b.stream)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", b.stream, err)
	}
	return s.CachedInfo().State.Msgs, nil
}

// last returns the sequence of the last message of the stream.
func (b *bed) last(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := b.rig.js.Stream(ctx, b.stream)
	if err != nil {
		return 0, fmt.Errorf("stream %s: %w", b.stream, err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

// fillTenants fills the stream with n messages of size bytes that go round the tenants.
func (b *bed) fillTenants(ctx context.Context, n, tenants, size int) error {
	subjects, payload := make([]string, tenants), make([]byte, size)
	for i := range subjects {
		subjects[i] = b.subject("t"+strconv.Itoa(i), workKind)
	}
	return b.fill(ctx, n, func(i int) (string, []byte) { return subjects[i%tenants], payload })
}

// workKind is the last token of subjects where there is one kind of work.
const workKind = "work"
