package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
)

// A session is a Consumer of ours that runs, with everything on that has no switch: fairness,
// leases, metrics.
type session struct {
	*consumer.Consumer
	js     jetstream.JetStream
	cancel context.CancelFunc
	ended  chan error
}

// ours starts a Consumer of the stream, on a connection of its own, and returns when it pulls.
func (b *bed) ours(ctx context.Context, cfg consumer.Config, h consumer.Handler, watch ...consumer.Observer) (*session, error) {
	js, err := b.rig.cfg.Connect()
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	cfg.Stream = b.stream
	s, err := startSession(ctx, js, cfg, h, watch...)
	if err != nil {
		js.Conn().Close()
		return nil, fmt.Errorf("spillway: %w", err)
	}
	return s, nil
}

// drainMost is how long a drain may take unless the scenario says otherwise: somebody who
// breaks it off waits for it.
const drainMost = 2 * time.Second

func startSession(ctx context.Context, js jetstream.JetStream, cfg consumer.Config, h consumer.Handler, watch ...consumer.Observer) (*session, error) {
	cfg.Tenant = consumer.SubjectToken(2)
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = drainMost
	}
	c, err := consumer.New(js, cfg, h)
	if err != nil {
		return nil, err
	}
	if _, err := metrics.New(c, metrics.Options{}); err != nil {
		return nil, err
	}
	for _, o := range watch {
		if err := c.Observe(o); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &session{Consumer: c, js: js, cancel: cancel, ended: make(chan error, 1)}
	go func() { s.ended <- c.Run(ctx) }()
	for c.Ready() != nil {
		select {
		case err := <-s.ended:
			cancel()
			return nil, errors.Join(errors.New("the consumer ended before it was ready"), err)
		case <-time.After(200 * time.Microsecond):
		}
	}
	return s, nil
}

// stop drains it. A drain that ran out of time is no error: who sets a short one does not
// want to wait.
func (s *session) stop() error {
	s.cancel()
	err := <-s.ended
	s.js.Conn().Close()
	if errors.Is(err, consumer.ErrDrainTimeout) {
		return nil
	}
	return err
}

// settled returns how many deliveries were settled in this way.
func settled(s consumer.Snapshot, o consumer.Outcome) (n uint64) {
	for _, d := range s.Downstreams {
		n += d.Settled[o]
	}
	return n
}

// until calls done again and again until it is true. It returns an error that says what did
// not happen when that takes longer than atMost, or ctx ends.
func until(ctx context.Context, what string, atMost time.Duration, done func() bool) error {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.NewTimer(atMost)
	defer deadline.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline.C:
			return fmt.Errorf("%s: not within %v", what, atMost)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// pause lets d pass, or ctx end.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
