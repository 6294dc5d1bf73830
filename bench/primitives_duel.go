package main

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/spillwaymq/spillway/internal/measure"
)

// A duel is one operation, done from all processors at once, by ours and by each peer.
type duel struct {
	claim string
	bound float64 // ns of ours; 0: none
	ours  duelist
	peers []duelist
}

// start returns the operation, which is told how many its goroutine has done before, and
// reports whether it was let through.
type duelist struct {
	name  string
	start func() (op operation, err error)
}

type operation func(i uint64) bool

// duels is what primitives measures, of a list of duels.
func duels(all []duel) func(context.Context, *env) ([]row, error) {
	return func(ctx context.Context, e *env) ([]row, error) {
		var rows []row
		for _, d := range all {
			more, err := d.fight(ctx, e)
			if err != nil {
				return nil, err
			}
			rows = append(rows, more...)
		}
		return rows, nil
	}
}

func (d duel) fight(ctx context.Context, e *env) ([]row, error) {
	all := append([]duelist{d.ours}, d.peers...)
	took, allocs := make([][]float64, len(all)), make([]int64, len(all))
	for round := range orDefault(e.repeat, 3) {
		line := ""
		for i := range all {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			i = (i + round) % len(all)
			res, err := all[i].measure()
			if err != nil {
				return nil, fmt.Errorf("bench: %s, %s: %w", d.claim, all[i].name, err)
			}
			took[i] = append(took[i], nsPerOp(res))
			allocs[i] = max(allocs[i], res.AllocsPerOp())
			line += fmt.Sprintf("  %s %.0f ns", all[i].name, nsPerOp(res))
		}
		e.say("round %d  %s:%s", round+1, d.claim, line)
	}
	ours := figure{measure.Median(took[0]), nanos}
	var rows []row
	for i, peer := range d.peers {
		r := row{
			Scenario: "primitives", Claim: d.claim + ", beside " + peer.name,
			Peer: figure{measure.Median(took[i+1]), nanos}, Ours: ours, Ratio: measure.Median(measure.Ratios(took[0], took[i+1])),
			Note: fmt.Sprintf("allocations: theirs %d, ours %d", allocs[i+1], allocs[0]),
		}
		if i == 0 && d.bound > 0 {
			r.Bound, r.Verdict = fmt.Sprintf("ours <= %.0f ns", d.bound), judge(ours.Value <= d.bound)
		}
		rows = append(rows, r)
	}
	return append(rows, row{
		Scenario: "primitives", Claim: "allocations of " + d.claim,
		Ours: figure{float64(allocs[0]), perOp}, Bound: "none", Verdict: judge(allocs[0] == 0),
	}), nil
}

// measure fails if the operation never did what is measured.
func (c duelist) measure() (testing.BenchmarkResult, error) {
	var failure error
	res := testing.Benchmark(func(b *testing.B) {
		op, err := c.start()
		if err != nil || !op(1) {
			failure = errors.Join(err, errors.New("the first was refused"))
			return
		}
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for i := uint64(1); pb.Next(); i++ {
				op(i)
			}
		})
	})
	if failure != nil || res.N == 0 {
		return res, errors.Join(failure, errors.New("it did not run to its end"))
	}
	return res, nil
}
