package handlers

import (
	"context"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// Discard succeeds after Delay, for trials and benchmarks.
type Discard struct {
	Delay time.Duration
}

// Handle waits for d.Delay, or until ctx is done.
func (d Discard) Handle(ctx context.Context, _ *consumer.Message) error {
	if d.Delay <= 0 {
		return nil
	}
	timer := time.NewTimer(d.Delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
