package scenario

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spillwaymq/spillway/internal/measure"
)

// workKind is the last token of subjects where there is one kind of work.
const workKind = "work"

// fill publishes n messages and returns when all are stored, or one is not.
func (b *bed) fill(ctx context.Context, n int, message func(i int) (subject string, payload []byte)) error {
	b.rig.Say("filling the stream with %s messages", grouped(int64(n)))
	return measure.Fill(ctx, b.rig.js, b.stream, n, message)
}

// fillTenants fills the stream with n messages of size bytes that go round the tenants.
func (b *bed) fillTenants(ctx context.Context, n, tenants, size int) error {
	subjects, payload := make([]string, tenants), make([]byte, size)
	for i := range subjects {
		subjects[i] = b.subject("t"+strconv.Itoa(i), workKind)
	}
	return b.fill(ctx, n, func(i int) (string, []byte) { return subjects[i%tenants], payload })
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
