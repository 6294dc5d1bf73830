package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/internal/measure"
)

const (
	memoryPayload = 1 << 10
	memoryTenants = 1000
	memoryWorkers = 64
	memoryService = 10 * time.Millisecond
	bufferBytes   = 64 << 20 // the default of Buffer.Bytes
	memorySlack   = 64 << 20 // what may come on top
)

// diet is one way to consume, in a process of its own.
type diet struct {
	name string
	task task
}

// memory lets one process after another consume a backlog that is larger than it may
// become.
func memory(ctx context.Context, e *env) ([]row, error) {
	b := backlog{"BIG", orDefault(e.messages, 1_000_000), memoryTenants, memoryPayload}
	e.say("filling %s: %d messages of %d bytes", b.stream, b.messages, b.size)
	if err := b.fill(ctx, e.js); err != nil {
		return nil, err
	}
	base := task{URL: e.broker.url(), Stream: b.stream, Messages: b.messages, For: orDefault(e.lap, 7*time.Second)}
	diets := []diet{
		{"Spillway, 10 ms handlers, buffer by bytes", base.with(true, memoryService, 1<<20)},
		{"Spillway, 10 ms handlers", base.with(true, memoryService, 0)},
		{"nats.go Consume, 10 ms handlers", base.with(false, memoryService, 0)},
		{"Spillway, handlers that do nothing", base.with(true, 0, 0)},
		{"nats.go Consume, handlers that do nothing", base.with(false, 0, 0)},
	}
	fed := make(map[string][]outcome)
	for round := range orDefault(e.repeat, 1) {
		for i, d := range diets {
			if !e.wanted(d.name) {
				continue
			}
			d.task.Durable = fmt.Sprintf("m%d-%d", round, i)
			o, err := e.feed(ctx, d)
			if err != nil {
				return nil, fmt.Errorf("bench: %s: %w", d.name, err)
			}
			fed[d.name] = append(fed[d.name], o)
			e.say("round %d  %-42s %s", round+1, d.name, o)
		}
	}
	return memoryRows(diets, fed), nil
}

func (t task) with(ours bool, service time.Duration, messages int) task {
	t.Ours, t.Service, t.BufferMessages = ours, service, messages
	return t
}

// feed runs d to its end.
func (e *env) feed(ctx context.Context, d diet) (outcome, error) {
	self, err := os.Executable()
	if err != nil {
		return outcome{}, err
	}
	input, err := json.Marshal(d.task)
	if err != nil {
		return outcome{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, d.task.For+2*patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, self, childArg)
	cmd.Stdin, cmd.Stderr = strings.NewReader(string(input)), e.log
	cmd.Env = append(os.Environ(), childEnv+"=1")
	output, err := cmd.Output()
	if err != nil {
		return outcome{}, fmt.Errorf("child process: %w", err)
	}
	var o outcome
	if err := json.Unmarshal(output, &o); err != nil {
		return outcome{}, fmt.Errorf("child process: %w", err)
	}
	return o, e.clear(ctx, d)
}

// clear removes what the child left in the server.
func (e *env) clear(ctx context.Context, d diet) error {
	return firstError(
		e.js.DeleteConsumer(ctx, d.task.Stream, d.task.Durable),
		(&session{js: e.js, cfg: d.task.config()}).forget(ctx),
	)
}

// memoryRows puts ours beside the plain consumer that does the same.
func memoryRows(diets []diet, fed map[string][]outcome) []row {
	plain := make(map[time.Duration]float64) // live heap by service time
	for _, d := range diets {
		if !d.task.Ours {
			plain[d.task.Service] = medianLive(fed[d.name])
		}
	}
	var rows []row
	for _, d := range diets {
		all := fed[d.name]
		if !d.task.Ours || len(all) == 0 {
			continue
		}
		r := row{
			Scenario: "memory", Claim: d.name + ": live heap",
			Ours:    figure{medianLive(all), bytes},
			Bound:   fmt.Sprintf("ours <= %v", figure{bufferBytes + memorySlack, bytes}),
			Verdict: judge(medianLive(all) <= bufferBytes+memorySlack),
			Note:    all[0].String(),
		}
		if p := plain[d.task.Service]; p > 0 {
			r.Peer, r.Ratio = figure{p, bytes}, r.Ours.Value/p
		}
		rows = append(rows, r)
	}
	return rows
}

func medianLive(all []outcome) float64 {
	live := make([]float64, len(all))
	for i, o := range all {
		live[i] = float64(o.Live)
	}
	return measure.Median(live)
}
