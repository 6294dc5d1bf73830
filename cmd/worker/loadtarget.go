package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/internal/envelope"
	"github.com/spillwaymq/spillway/internal/load"
)

// withTarget calls do with what the command line names. A signal ends ctx, and do in
// order; a second one ends the process.
func (l *loadCommand) withTarget(p *process, do func(ctx context.Context, name string, t load.Target) error) error {
	if l.URL != "" {
		return l.withHTTP(p, do)
	}
	var ended error
	err := l.withNATS(p, func(ctx context.Context, cfg *config.Config, link *natslink.Link) error {
		if err := l.checkSubject(ctx, cfg, link); err != nil {
			return err
		}
		target, err := load.OpenJetStream(ctx, link.JetStream, l.jetStream(cfg))
		if err != nil {
			return err
		}
		defer target.Close()
		ended = do(ctx, l.Subject, target)
		return nil // a signal is a way to end it
	})
	if err != nil {
		return err
	}
	return ended
}

func (l *loadCommand) withHTTP(p *process, do func(ctx context.Context, name string, t load.Target) error) error {
	ctx, release := untilSignal(context.Background(), p, newLogger(p, config.Log{Level: "warn", Format: config.LogAuto}), nil)
	defer release()
	header := make(http.Header)
	for name, value := range l.Header {
		header.Set(name, value)
	}
	target, err := load.NewHTTP(load.HTTPConfig{
		URL: l.URL, Method: l.Method, Header: header, Body: l.payload(), Connections: l.MaxInFlight,
	})
	if err != nil {
		return &usageError{inFlags(err)}
	}
	defer target.Close()
	if err := target.Reach(ctx); err != nil {
		return err
	}
	return do(ctx, config.URL(l.URL).String(), target)
}

// checkSubject looks up whether the stream of the config takes what would be published, and its
// durable what the stream takes: nobody else would ever say that a message is done.
func (l *loadCommand) checkSubject(ctx context.Context, cfg *config.Config, link *natslink.Link) error {
	stream, err := scan.Stream(ctx, link.JetStream, cfg.Stream)
	if err != nil {
		return err
	}
	durable, err := scan.Durable(ctx, stream, cfg.Durable)
	if err != nil {
		return err
	}
	kept := stream.CachedInfo().Config
	if subject, ok := l.outside(kept.Subjects); ok {
		return &usageError{fmt.Errorf("--subject: stream %s takes %s, and not %q: nothing would be stored", cfg.Stream, strings.Join(kept.Subjects, ", "), subject)}
	}
	filters := scan.FiltersOf(durable.CachedInfo().Config)
	if kept.SubjectTransform != nil { // the durable sees other subjects
		return nil
	}
	if subject, ok := l.outside(filters); ok {
		return &usageError{fmt.Errorf("--subject: durable %s takes %s, and not %q: nobody would handle it", cfg.Durable, strings.Join(filters, ", "), subject)}
	}
	return nil
}

// outside returns a subject of the load that none of filters takes, if there is one.
func (l *loadCommand) outside(filters []string) (string, bool) {
	for _, tenant := range l.tenants().Names {
		subject := load.SubjectOf(l.Subject, tenant)
		if !slices.ContainsFunc(filters, func(f string) bool { return scan.Matches(f, subject) }) {
			return subject, true
		}
		if subject == l.Subject { // that of all tenants
			break
		}
	}
	return "", false
}

// jetStream says what to publish, and how the messages that a worker moves are followed.
func (l *loadCommand) jetStream(cfg *config.Config) load.JetStreamConfig {
	header := make(nats.Header)
	for name, value := range l.Header {
		header.Set(name, value)
	}
	dead := cfg.DeadLetter.Stream + "." + cfg.Durable + "."
	return load.JetStreamConfig{
		Stream: cfg.Stream, Durable: cfg.Durable,
		Subject: l.Subject, Header: header, Payload: l.payload(),
		Moves: &load.Moves{
			Subjects: []string{cfg.Overflow.Stream + "." + cfg.Durable + ".>", dead + ">"},
			Streams:  []string{cfg.Overflow.Stream},
			Origin: func(subject string, h nats.Header) (stream string, seq uint64, final string, ok bool) {
				_, origin, ok := envelope.Restore(h)
				if strings.HasPrefix(subject, dead) {
					final = "dead-lettered: " + h.Get(envelope.HeaderReason)
				}
				return origin.Stream, origin.Sequence, final, ok
			},
		},
	}
}

func (l *loadCommand) payload() []byte {
	if l.Size > 0 {
		return []byte(strings.Repeat("x", l.Size))
	}
	return []byte(l.Body)
}
