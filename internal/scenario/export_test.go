package scenario

import (
	"context"

	"github.com/nats-io/nats.go/jetstream"
)

// MakeStreams makes what a scenario and a Consumer in it make.
func MakeStreams(ctx context.Context, r *Rig) error {
	b, err := r.newBed(ctx)
	if err != nil {
		return err
	}
	for _, name := range []string{b.stream + "_OVERFLOW", "KV_" + b.stream} {
		if _, err := r.js.CreateStream(ctx, jetstream.StreamConfig{Name: name}); err != nil {
			return err
		}
	}
	return nil
}
