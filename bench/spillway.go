package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
)

// spillway is ours with everything on: tenants, fairness, leases, metrics.
var spillway = contestant{name: "Spillway, 16 workers", start: startSpillway}

// guarded is ours with a limit and a breaker for what the handlers call, as one that is
// configured has.
var guarded = contestant{name: "Spillway, 16 workers, limit and breaker", start: startGuarded}

func startSpillway(ctx context.Context, r *race) (func() (string, error), error) {
	return startWith(ctx, r, nil)
}

func startGuarded(ctx context.Context, r *race) (func() (string, error), error) {
	return startWith(ctx, r, map[string]consumer.Downstream{consumer.DefaultDownstream: {}})
}

func startWith(ctx context.Context, r *race, downstreams map[string]consumer.Downstream) (func() (string, error), error) {
	cfg := consumer.Config{Stream: r.stream, Durable: r.durable, AckWait: ackWait, Workers: workers, Downstreams: downstreams}
	s, err := runSpillway(ctx, r.js, cfg, func(*consumer.Message) {
		r.begin()
		r.handle()
	})
	if err != nil {
		return nil, err
	}
	r.begin()
	return func() (string, error) {
		note := strings.TrimPrefix(r.redelivered(ctx)+", "+s.note(), ", ")
		return note, errors.Join(s.stop(), s.forget(context.WithoutCancel(ctx)))
	}, nil
}

// session is one Consumer that runs.
type session struct {
	*consumer.Consumer
	js     jetstream.JetStream
	cfg    consumer.Config
	cancel context.CancelFunc
	ended  chan error
}

// runSpillway starts a Consumer with metrics attached and returns when it pulls.
func runSpillway(ctx context.Context, js jetstream.JetStream, cfg consumer.Config, handle func(*consumer.Message)) (*session, error) {
	cfg.Tenant = consumer.SubjectToken(2)
	c, err := consumer.New(js, cfg, consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
		handle(m)
		return nil
	}))
	if err != nil {
		return nil, err
	}
	if _, err := metrics.New(c, metrics.Options{}); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	s := &session{Consumer: c, js: js, cfg: cfg, cancel: cancel, ended: make(chan error, 1)}
	go func() { s.ended <- c.Run(ctx) }()
	for c.Ready() != nil {
		select {
		case err := <-s.ended:
			cancel()
			return nil, errors.Join(errors.New("the consumer ended before it was ready"), err)
		case <-time.After(100 * time.Microsecond):
		}
	}
	return s, nil
}

// stop ends the run. That not everything was finished is no error here.
func (s *session) stop() error {
	s.cancel()
	if err := <-s.ended; err != nil && !errors.Is(err, consumer.ErrDrainTimeout) {
		return err
	}
	return nil
}

// forget removes the streams that the Consumer made for itself.
func (s *session) forget(ctx context.Context) error {
	return errors.Join(dropStream(ctx, s.js, s.cfg.Stream+"_OVERFLOW"), dropStream(ctx, s.js, s.cfg.Stream+"_DEAD"))
}

// note tells of everything that was not simply handled and acked, or is "".
func (s *session) note() string {
	snap := s.Snapshot()
	var parts []string
	for _, d := range snap.Downstreams {
		for _, outcome := range slices.Sorted(maps.Keys(d.Settled)) {
			if outcome != consumer.OutcomeAck {
				parts = append(parts, fmt.Sprintf("%d %s", d.Settled[outcome], outcome))
			}
		}
	}
	for _, l := range snap.Lanes {
		if l.Resets > 0 {
			parts = append(parts, fmt.Sprintf("%d resets of lane %s: %s", l.Resets, l.Lane, l.LastError))
		}
	}
	if snap.LeasesLost > 0 {
		parts = append(parts, fmt.Sprintf("%d leases lost", snap.LeasesLost))
	}
	return strings.Join(parts, ", ")
}
