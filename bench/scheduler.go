package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/internal/measure"
	"github.com/spillwaymq/spillway/tenants"
)

const (
	fewTenants, manyTenants = 10, 10_000
	schedulerBound          = 300 // ns at many tenants
	schedulerGrowth         = 1.5 // beside few
)

// schedule is what Push, Next and Done cost with every tenant backlogged: the queues
// alone, without NATS.
func schedule(ctx context.Context, e *env) ([]row, error) {
	var few, many []float64
	var allocs int64
	for round := range orDefault(e.repeat, 3) {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		a, err := benchQueues(fewTenants)
		if err != nil {
			return nil, err
		}
		b, err := benchQueues(manyTenants)
		if err != nil {
			return nil, err
		}
		few, many = append(few, nsPerOp(a)), append(many, nsPerOp(b))
		allocs = max(allocs, a.AllocsPerOp(), b.AllocsPerOp())
		e.say("round %d  %d tenants %.0f ns/op, %d tenants %.0f ns/op", round+1, fewTenants, nsPerOp(a), manyTenants, nsPerOp(b))
	}
	growth := measure.Median(measure.Ratios(many, few))
	return []row{
		{
			Scenario: "scheduler", Claim: fmt.Sprintf("Push, Next and Done with %d backlogged tenants", manyTenants),
			Ours:  figure{measure.Median(many), nanos},
			Bound: fmt.Sprintf("ours <= %d ns", schedulerBound), Verdict: judge(measure.Median(many) <= schedulerBound),
		},
		{
			Scenario: "scheduler", Claim: fmt.Sprintf("the same beside %d tenants (in the place of the peer)", fewTenants),
			Peer: figure{measure.Median(few), nanos}, Ours: figure{measure.Median(many), nanos}, Ratio: growth,
			Bound: fmt.Sprintf("ratio <= %.1f", schedulerGrowth), Verdict: judge(growth <= schedulerGrowth),
		},
		{
			Scenario: "scheduler", Claim: "allocations of the same",
			Ours: figure{float64(allocs), perOp}, Bound: "none", Verdict: judge(allocs == 0),
		},
	}, nil
}

func nsPerOp(r testing.BenchmarkResult) float64 {
	return float64(r.T.Nanoseconds()) / float64(max(r.N, 1))
}

// benchQueues is the benchmark of package tenants, with time as an argument.
func benchQueues(n int) (testing.BenchmarkResult, error) {
	var failure error
	res := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		failure = errors.Join(failure, turnQueues(b, n))
	})
	if failure != nil {
		return res, fmt.Errorf("bench: queues of %d tenants: %w", n, failure)
	}
	return res, nil
}

func turnQueues(b *testing.B, n int) error {
	now := time.Unix(1_700_000_000, 0)
	q, err := tenants.NewQueues[int](tenants.Config{Messages: 4 * n})
	if err != nil {
		return err
	}
	for i := range 3 * n {
		if err := q.PushAt(now, "tenant-"+strconv.Itoa(i%n), "class", 0, payloadBytes); err != nil {
			return err
		}
	}
	for b.Loop() {
		now = now.Add(time.Microsecond)
		j, ok := q.TryNext(now)
		if !ok {
			return errors.New("nothing is next")
		}
		now = now.Add(10 * time.Microsecond)
		q.DoneAt(now, j)
		if err := q.PushAt(now, j.Tenant, j.Class, 0, payloadBytes); err != nil {
			return err
		}
	}
	return nil
}
