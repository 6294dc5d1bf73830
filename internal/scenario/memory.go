package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"
)

var memoryScenario = Scenario{
	Name:  "memory",
	Claim: "memory is bounded, whatever waits",
	Doc: `A million messages of 1 KiB of 1,000 tenants wait, and a process of its own consumes them for 7 s with
64 workers and handlers of 10 ms: what its heap holds after a collection, at most. Once with
the default buffer, and once with one that only its 64 MiB bound.`,
	Embedded: "it stores a gibibyte",
	Run:      boundedMemory,
}

const (
	memoryPayload = 1 << 10
	memoryTenants = 1000
	memoryWorkers = 64
	memoryService = 10 * time.Millisecond
	memoryLook    = 7 * time.Second
	memoryByBytes = 1 << 20 // messages; so many that bytes alone bound the buffer
	memoryMost    = 128 << 20
)

func boundedMemory(ctx context.Context, r *Rig) ([]Row, error) {
	messages := r.Count(1_000_000, 2000)
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	if err := bed.fillTenants(ctx, messages, memoryTenants, memoryPayload); err != nil {
		return nil, err
	}
	task := Task{
		Stream: bed.stream, Durable: "plain", Workers: memoryWorkers, Service: memoryService,
		For: r.Span(memoryLook, 300*time.Millisecond), Gauge: true,
	}
	plain, err := gauge(ctx, r, task)
	if err != nil {
		return nil, fmt.Errorf("plain consumer: %w", err)
	}
	task.Ours = true
	var rows []Row
	for _, b := range []struct {
		messages int
		claim    string
	}{{0, "the default buffer"}, {memoryByBytes, "a buffer that only bytes bound"}} {
		task.Buffer, task.Durable = b.messages, fmt.Sprintf("ours%d", b.messages)
		ours, err := gauge(ctx, r, task)
		if err != nil {
			return rows, fmt.Errorf("spillway: %w", err)
		}
		if err := bed.forget(ctx, task.Durable); err != nil {
			return rows, err
		}
		claim := fmt.Sprintf("%s messages of 1 KiB wait, %s: live heap, at most", grouped(int64(messages)), b.claim)
		rows = append(rows, atMost(claim, ofBytes(ours.Live), ofBytes(uint64(memoryMost))).must().beside(ofBytes(plain.Live)).
			noting("held at most %s messages, %v", grouped(int64(ours.Held)), ofBytes(ours.HeldBytes)))
	}
	return rows, nil
}

// gauge returns what a process that does the task uses.
func gauge(ctx context.Context, r *Rig, t Task) (memory, error) {
	r.Say("%s: consuming for %v", t.Durable, t.For)
	p, err := r.start(ctx, t, nil)
	if err != nil {
		return memory{}, err
	}
	defer p.kill()
	if err := p.awaitReady(ctx); err != nil {
		return memory{}, err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return memory{}, ctx.Err()
	}
	m, ok := p.gauged()
	if p.err != nil || !ok {
		return memory{}, errors.Join(errors.New("a process ended without telling its memory"), p.err)
	}
	return m, nil
}
