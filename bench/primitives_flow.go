package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/alitto/pond/v2"
	"github.com/panjf2000/ants/v2"

	"github.com/spillwaymq/spillway/flow"
	"github.com/spillwaymq/spillway/internal/measure"
)

const (
	poolQueue  = 256
	poolGrowth = 2.0 // of flow.Pool beside a bare channel
)

// A submitter is a pool with as many workers as it is asked for, and jobs that do nothing.
type submitter struct {
	name  string
	start func(workers int) (submit func() error, stop func() error, err error)
}

// The first is what the others are measured against, the second is ours.
var submitters = []submitter{
	{"a bare channel", startChannel},
	{"flow.Pool", startFlow},
	{"pond v2", startPond},
	{"ants v2", startAnts},
}

func startChannel(workers int) (submit, stop func() error, err error) {
	jobs, job := make(chan func(), poolQueue), func() {}
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for job := range jobs {
				job()
			}
		})
	}
	submit = func() error { jobs <- job; return nil }
	stop = func() error { close(jobs); wg.Wait(); return nil }
	return submit, stop, nil
}

func startFlow(workers int) (submit, stop func() error, err error) {
	p, err := flow.NewPool(flow.PoolConfig{Workers: workers, Queue: poolQueue})
	if err != nil {
		return nil, nil, err
	}
	job := func(context.Context) {}
	submit = func() error { return p.Submit(job) }
	stop = func() error { return p.Close(context.Background()) }
	return submit, stop, nil
}

func startPond(workers int) (submit, stop func() error, err error) {
	p, job := pond.NewPool(workers, pond.WithQueueSize(poolQueue)), func() {}
	submit = func() error { return p.Go(job) }
	stop = func() error { p.StopAndWait(); return nil }
	return submit, stop, nil
}

func startAnts(workers int) (submit, stop func() error, err error) {
	p, err := ants.NewPool(workers) // it has no queue: Submit waits for a worker
	if err != nil {
		return nil, nil, err
	}
	job := func() {}
	submit = func() error { return p.Submit(job) }
	stop = func() error { p.Release(); return nil }
	return submit, stop, nil
}

// pools is what a submit costs, from all processors at once, with the workers that run it.
func pools(ctx context.Context, e *env) ([]row, error) {
	var all []row
	counts := []int{runtime.GOMAXPROCS(0), 16}
	for _, workers := range slices.Compact(counts) {
		rows, err := submits(ctx, e, workers)
		if err != nil {
			return nil, err
		}
		all = append(all, rows...)
	}
	return all, nil
}

func submits(ctx context.Context, e *env, workers int) ([]row, error) {
	took := make([][]float64, len(submitters))
	allocs := make([]int64, len(submitters))
	for round := range orDefault(e.repeat, 3) {
		for i := range submitters {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			i = (i + round) % len(submitters)
			res, err := benchSubmit(submitters[i], workers)
			if err != nil {
				return nil, err
			}
			took[i] = append(took[i], nsPerOp(res))
			allocs[i] = max(allocs[i], res.AllocsPerOp())
		}
		e.say("round %d  %d workers: %s", round+1, workers, lastOf(took))
	}
	const channel, ours = 0, 1
	var rows []row
	for i, s := range submitters {
		if i == ours {
			continue
		}
		ratio := measure.Median(measure.Ratios(took[ours], took[i]))
		r := row{
			Scenario: "primitives", Claim: fmt.Sprintf("pool submit, %d workers, beside %s", workers, s.name),
			Peer: figure{measure.Median(took[i]), nanos}, Ours: figure{measure.Median(took[ours]), nanos}, Ratio: ratio,
			Note: fmt.Sprintf("allocations: theirs %d, ours %d", allocs[i], allocs[ours]),
		}
		if i == channel {
			r.Bound, r.Verdict = fmt.Sprintf("ratio <= %.0f", poolGrowth), judge(ratio <= poolGrowth)
		}
		rows = append(rows, r)
	}
	return append(rows, row{
		Scenario: "primitives", Claim: fmt.Sprintf("allocations of a pool submit, %d workers", workers),
		Ours: figure{float64(allocs[ours]), perOp}, Bound: "none", Verdict: judge(allocs[ours] == 0),
	}), nil
}

func lastOf(took [][]float64) string {
	var line strings.Builder
	for i, s := range submitters {
		fmt.Fprintf(&line, "  %s %.0f ns", s.name, took[i][len(took[i])-1])
	}
	return line.String()
}

func benchSubmit(s submitter, workers int) (testing.BenchmarkResult, error) {
	var failure error
	res := testing.Benchmark(func(b *testing.B) {
		submit, stop, err := s.start(workers)
		if err != nil {
			failure = errors.Join(failure, err)
			return
		}
		b.ReportAllocs()
		b.ResetTimer()
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := submit(); err != nil {
					b.Error(err)
				}
			}
		})
		failure = errors.Join(failure, stop())
	})
	if failure != nil || res.N == 0 {
		return res, fmt.Errorf("bench: submit to %s: %w", s.name, errors.Join(failure, errors.New("it did not run to its end")))
	}
	return res, nil
}
