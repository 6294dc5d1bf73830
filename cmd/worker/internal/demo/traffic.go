package demo

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// beat is how often a tenant publishes what is due.
	beat = 50 * time.Millisecond
	// Of so many messages of a tenant one is an export, and one a log.
	exportEvery = 100
	logEvery    = 5
)

// Publish publishes for all tenants until ctx ends, and returns when every message is
// confirmed or has failed.
func Publish(ctx context.Context, js jetstream.JetStream, scene *Scene, tally *Tally) error {
	var wg sync.WaitGroup
	errs := make([]error, len(Tenants()))
	for i, tenant := range Tenants() {
		wg.Go(func() { errs[i] = publishFor(ctx, js, tenant, scene, tally) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("publishing: %w", err)
		}
	}
	return nil
}

func publishFor(ctx context.Context, js jetstream.JetStream, tenant string, scene *Scene, tally *Tally) error {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	n, due := 0, 0.0
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		for due += float64(scene.Now().rate(tenant)) * beat.Seconds(); due >= 1; due-- {
			// What was begun is awaited, else nobody knew whether it was published.
			if _, err := js.Publish(context.WithoutCancel(ctx), subjectOf(tenant, n), []byte(`{"demo":true}`)); err != nil {
				return err
			}
			tally.published(tenant)
			n++
		}
	}
}

// subjectOf returns where message n of a tenant goes: each kind has its handler.
func subjectOf(tenant string, n int) string {
	switch {
	case n%exportEvery == 0:
		return "jobs." + tenant + ".export"
	case n%logEvery == 1:
		return "jobs." + tenant + ".log"
	}
	return "jobs." + tenant + ".invoice"
}
