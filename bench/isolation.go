package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spillwaymq/spillway/internal/measure"
)

const (
	service       = 5 * time.Millisecond // what a handler takes
	isolatedCrew  = 8                    // workers
	skimBound     = 10 * time.Microsecond
	isolationBeat = 20 * time.Millisecond // between two messages of the quiet tenant
)

// isolation is a quiet tenant beside the flood of another.
func isolation(ctx context.Context, e *env) ([]row, error) {
	flood := orDefault(e.messages, 10_000)
	span := orDefault(e.lap, 5*time.Second)
	plans := []lapPlan{
		{name: "Spillway, flood", flood: flood, span: span, start: lapSpillway},
		{name: "Spillway, alone", flood: 0, span: span / 2, start: lapSpillway},
		{name: "nats.go Consume, channel, 8 workers, flood", flood: flood, span: span, start: lapPlain},
	}
	stop, err := e.profile()
	if err != nil {
		return nil, err
	}
	all := make([][]lap, len(plans))
	for round := range orDefault(e.repeat, 3) {
		for i := range plans {
			i = (i + round) % len(plans)
			if !e.wanted(plans[i].name) {
				continue
			}
			l, err := e.lapOf(ctx, plans[i])
			if err != nil {
				return nil, fmt.Errorf("bench: %s: %w", plans[i].name, err)
			}
			all[i] = append(all[i], l)
			e.say("round %d  %-44s %s", round+1, plans[i].name, l)
		}
	}
	if err := stop(); err != nil {
		return nil, err
	}
	return isolationRows(flood, all[0], all[1], all[2]), nil
}

func isolationRows(flood int, ours, solo, plain []lap) []row {
	p50 := medianWait(ours, 0.5)
	p99, soloP99, plainP99 := medianWait(ours, 0.99), medianWait(solo, 0.99), medianWait(plain, 0.99)
	bound := 3*soloP99 + service
	skim := medianOf(ours, func(l lap) time.Duration { return l.skim })
	during := medianOf(ours, func(l lap) time.Duration { return measure.Quantile(l.during, 1) })
	busy := medianOf(ours, func(l lap) float64 { return l.busy })
	plainBusy := medianOf(plain, func(l lap) float64 { return l.busy })
	claim := func(format string, args ...any) row {
		return row{Scenario: "isolation", Claim: fmt.Sprintf(format, args...)}
	}

	rows := []row{
		claim("quiet tenant's wait p50 beside a flood of %d", flood),
		claim("the same, p99"),
		claim("the same, most"),
		claim("p99 against p99 alone (in the place of the peer)"),
		claim("skim of the flood that was there first"),
		claim("most the quiet tenant waits during the skim"),
		claim("workers kept busy beside the flood"),
	}
	rows[0].Peer, rows[0].Ours = duration(medianWait(plain, 0.5)), duration(p50)
	rows[1].Peer, rows[1].Ours = duration(plainP99), duration(p99)
	rows[2].Peer, rows[2].Ours = duration(medianWait(plain, 1)), duration(medianWait(ours, 1))
	rows[3].Peer, rows[3].Ours = duration(soloP99), duration(p99)
	rows[3].Ratio = p99.Seconds() / max(soloP99.Seconds(), 1e-9)
	rows[3].Bound, rows[3].Verdict = fmt.Sprintf("ours <= 3 x alone + %v = %v", service, round(bound)), judge(p99 <= bound)
	rows[3].Note = ours[0].note
	skimmed := skim / time.Duration(max(flood, 1))
	rows[4].Ours = duration(skim)
	rows[4].Bound, rows[4].Verdict = fmt.Sprintf("%v a message <= %v", round(skimmed), skimBound), judge(skimmed <= skimBound)
	rows[5].Ours = duration(during)
	rows[6].Peer, rows[6].Ours = figure{plainBusy, share}, figure{busy, share}
	return rows
}

func medianWait(all []lap, q float64) time.Duration {
	return medianOf(all, func(l lap) time.Duration { return measure.Quantile(l.waits, q) })
}
