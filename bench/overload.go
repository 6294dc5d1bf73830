package main

import (
	"context"
	"fmt"
	"os"
	"time"

	sim "github.com/spillwaymq/spillway/internal/overloadsim"
	"github.com/spillwaymq/spillway/limiter"
)

// Bounds of the default limiter, beside the best fixed limit.
const (
	overloadGoodput = 0.98
	overloadP99     = 1.25
)

// admission is one contestant of overload.
type admission struct {
	name  string
	start func() (sim.Admitter, error) // nil: in a bubble
}

// admissions are ours, the default first, and the peers.
func admissions() []admission {
	ours := func(c limiter.Config) func() (sim.Admitter, error) {
		return func() (sim.Admitter, error) {
			l, err := limiter.New(c)
			return admitter{l}, err
		}
	}
	return []admission{
		{name: "adaptive", start: ours(limiter.Config{})},
		{name: "AIMD, 250 ms", start: ours(limiter.Config{Algorithm: limiter.AIMD, Brake: 250 * time.Millisecond})},
		{name: "Vegas", start: ours(limiter.Config{Algorithm: limiter.Vegas})},
		{name: "Gradient", start: ours(limiter.Config{Algorithm: limiter.Gradient})},
		{name: "SLO, 250 ms", start: ours(limiter.Config{Algorithm: limiter.SLO, Target: 250 * time.Millisecond})},
		{name: "failsafe-go"},
		{name: "go-concurrency-limits Vegas", start: startVegas},
		{name: "go-concurrency-limits Gradient2", start: startGradient2},
	}
}

// served is what one contestant made of one case.
type served struct{ Goodput, P99 float64 }

// overload simulates every case with every contestant, in virtual time.
func overload(ctx context.Context, e *env) ([]row, error) {
	cases, all := sim.Cases(), admissions()
	table := make([][]served, len(cases))
	oracles := make([]served, len(cases))
	for i, c := range cases {
		best := admission{start: func() (sim.Admitter, error) {
			l, err := limiter.New(limiter.Config{Algorithm: limiter.Fixed, Max: c.Best})
			return admitter{l}, err
		}}
		for _, a := range append([]admission{best}, all...) {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			o, err := a.simulate(ctx, c)
			if err != nil {
				return nil, fmt.Errorf("bench: %s, %s: %w", c.Name, a.name, err)
			}
			table[i] = append(table[i], o)
		}
		oracles[i], table[i] = table[i][0], table[i][1:]
	}
	tellOverload(e, cases, all, oracles, table)
	if e.svg != "" {
		if err := os.WriteFile(e.svg, drawOverload(cases, all, oracles, table), 0o644); err != nil {
			return nil, err
		}
	}
	return overloadRows(cases, all, oracles, table), nil
}

func (a admission) simulate(ctx context.Context, c sim.Case) (served, error) {
	if a.start == nil {
		return simulateInBubble(ctx, c)
	}
	return simulate(c, a.start)
}

// simulate runs the case with a limiter of that kind for each process.
func simulate(c sim.Case, start func() (sim.Admitter, error)) (served, error) {
	var failure error
	res := sim.Run(c.Scenario, func(int) sim.Admitter {
		l, err := start()
		if err != nil {
			failure = err
			return nothing{}
		}
		return l
	})
	return served{
		Goodput: res.Goodput(c.From, c.To),
		P99:     res.Quantile(0.99, c.From, c.To).Seconds(),
	}, failure
}

// overloadRows are the claims: the default beside the oracle, with bounds where the design
// has them, and beside failsafe-go.
func overloadRows(cases []sim.Case, all []admission, oracles []served, table [][]served) []row {
	bound := map[string]bool{"plain": true, "thrash": true, "slow": true, "soak": true}
	failsafe := 0
	for i, a := range all {
		if a.name == "failsafe-go" {
			failsafe = i
		}
	}
	var rows []row
	for i, c := range cases {
		ours, best, peer := table[i][0], oracles[i], table[i][failsafe]
		goodput := row{
			Scenario: "overload", Claim: c.Name + ": goodput, beside the best fixed limit",
			Peer: figure{best.Goodput, perSecond}, Ours: figure{ours.Goodput, perSecond}, Ratio: ours.Goodput / best.Goodput,
			Note: fmt.Sprintf("%s; failsafe-go %.1f/s", c.About, peer.Goodput),
		}
		p99 := row{
			Scenario: "overload", Claim: c.Name + ": p99, beside the best fixed limit",
			Peer: figure{best.P99, seconds}, Ours: figure{ours.P99, seconds}, Ratio: ours.P99 / best.P99,
			Note: fmt.Sprintf("failsafe-go %.0f ms", 1000*peer.P99),
		}
		if bound[c.Name] {
			goodput.Bound, goodput.Verdict = fmt.Sprintf("ratio >= %.2f", overloadGoodput), judge(goodput.Ratio >= overloadGoodput)
			p99.Bound, p99.Verdict = fmt.Sprintf("ratio <= %.2f", overloadP99), judge(p99.Ratio <= overloadP99)
		}
		rows = append(rows, goodput, p99)
	}
	return rows
}

// tellOverload writes the whole table as Markdown.
func tellOverload(e *env, cases []sim.Case, all []admission, oracles []served, table [][]served) {
	head, rule := "| case | oracle", "| --- | ---"
	for _, a := range all {
		head, rule = head+" | "+a.name, rule+" | ---"
	}
	e.say("%s |\n%s |", head, rule)
	for i, c := range cases {
		line := fmt.Sprintf("| %s | %.0f, %.0f", c.Name, oracles[i].Goodput, 1000*oracles[i].P99)
		for _, o := range table[i] {
			line += fmt.Sprintf(" | %.0f, %.0f", o.Goodput, 1000*o.P99)
		}
		e.say("%s |", line)
	}
}
