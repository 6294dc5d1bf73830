package main

import (
	"context"
	"fmt"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/internal/fakedownstream"
	"github.com/spillwaymq/spillway/internal/load"
	"github.com/spillwaymq/spillway/limiter"
)

// The downstream and the load of worker demo: 12 workers of 40 ms, 125 calls a second, and
// callers that give up after half a second.
const (
	demoWorkers = 12
	demoService = 40 * time.Millisecond
	demoTimeout = 500 * time.Millisecond
	demoRate    = 125.0
)

// A demoPhase is a part of the run.
type demoPhase struct {
	name string
	rate float64
	slow float64 // factor of service times
	long time.Duration
}

func demoPhases() []demoPhase {
	const s = time.Second
	return []demoPhase{
		{"normal", demoRate, 1, 8 * s},
		{"spike ×10", 10 * demoRate, 1, 10 * s},
		{"", demoRate, 1, 10 * s},
		{"slow ×4", demoRate, 4, 10 * s},
		{"", demoRate, 1, 10 * s},
		{"slow ×30", demoRate, 30, 8 * s},
		{"", demoRate, 1, 14 * s},
	}
}

// A demoRun is one limiter before a downstream of its own.
type demoRun struct {
	name    string
	limiter *limiter.Limiter

	mu      sync.Mutex
	seconds []demoSecond
}

type demoSecond struct {
	good, dropped, refused, limit int
	took                          []time.Duration // of good calls
}

func demoRuns() ([]*demoRun, error) {
	var runs []*demoRun
	for _, c := range []struct {
		name   string
		config limiter.Config
	}{
		{"adaptive", limiter.Config{}},
		{"Vegas", limiter.Config{Algorithm: limiter.Vegas}},
		{"Gradient", limiter.Config{Algorithm: limiter.Gradient}},
		{"SLO, 250 ms", limiter.Config{Algorithm: limiter.SLO, Target: 250 * time.Millisecond}},
		{"AIMD", limiter.Config{Algorithm: limiter.AIMD}},
		{"fixed, 12", limiter.Config{Algorithm: limiter.Fixed, Max: demoWorkers}},
		{"none", limiter.Config{Algorithm: limiter.None}},
	} {
		l, err := limiter.New(c.config)
		if err != nil {
			return nil, err
		}
		runs = append(runs, &demoRun{name: c.name, limiter: l})
	}
	return runs, nil
}

// demoLimiters runs all limiters at once, each before a downstream of its own, under the
// same schedule.
func demoLimiters(ctx context.Context, e *env) ([]row, error) {
	runs, err := demoRuns()
	if err != nil {
		return nil, err
	}
	errs := make([]error, len(runs))
	var wg sync.WaitGroup
	for i, r := range runs {
		wg.Go(func() { errs[i] = r.run(ctx) })
	}
	wg.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	tellDemo(e, runs)
	if e.svg != "" {
		return nil, os.WriteFile(e.svg, drawDemo(runs), 0o644)
	}
	return nil, nil
}

func (r *demoRun) run(ctx context.Context) error {
	d, err := fakedownstream.New(fakedownstream.Config{Workers: demoWorkers, Service: demoService, Seed: 1})
	if err != nil {
		return err
	}
	var stages []load.Stage
	for _, p := range demoPhases() {
		stages = append(stages, load.Stage{From: p.rate, To: p.rate, For: p.long})
	}
	runner, err := load.New(load.Config{Stages: stages, Arrivals: load.Poisson, Seed: 1, MaxInFlight: 1 << 16})
	if err != nil {
		return err
	}
	begin := time.Now()
	watching, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { r.faults(watching, d, begin) })
	runner.Run(ctx, load.Func(func(ctx context.Context, _ load.Request) error { return r.call(ctx, d, begin) }))
	stop()
	wg.Wait()
	return ctx.Err()
}

// faults slows the downstream as the phases say, and notes the limit each second.
func (r *demoRun) faults(ctx context.Context, d *fakedownstream.Downstream, begin time.Time) {
	ticker := time.NewTicker(100 * time.Millisecond)
	defer ticker.Stop()
	slow := 1.0
	for {
		in := time.Since(begin)
		if want := demoPhaseAt(in).slow; want != slow {
			slow = want
			if err := d.SetFault(fakedownstream.Fault{Kind: fakedownstream.Slow, Factor: slow}); err != nil {
				return // the factors are constants
			}
		}
		r.note(in, func(s *demoSecond) { s.limit = r.limiter.Limit() })
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return
		}
	}
}

func demoPhaseAt(in time.Duration) demoPhase {
	for _, p := range demoPhases() {
		if in < p.long {
			return p
		}
		in -= p.long
	}
	return demoPhases()[0]
}

// call is one caller: who gets no permit is gone.
func (r *demoRun) call(ctx context.Context, d *fakedownstream.Downstream, begin time.Time) error {
	permit, ok := r.limiter.TryAcquire()
	if !ok {
		r.note(time.Since(begin), func(s *demoSecond) { s.refused++ })
		return nil
	}
	defer permit.Release(limiter.Drop)
	ctx, cancel := context.WithTimeout(ctx, demoTimeout)
	defer cancel()
	start := time.Now()
	err := d.Call(ctx)
	took := time.Since(start)
	if err == nil {
		permit.Release(limiter.Success)
	}
	r.note(time.Since(begin), func(s *demoSecond) {
		if err != nil {
			s.dropped++
			return
		}
		s.good++
		s.took = append(s.took, took)
	})
	return nil
}

func (r *demoRun) note(in time.Duration, f func(*demoSecond)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(r.seconds) <= int(in/time.Second) {
		r.seconds = append(r.seconds, demoSecond{})
	}
	f(&r.seconds[in/time.Second])
}

// demoFigures are those of one phase.
type demoFigures struct {
	good, dropped float64 // a second
	p50, p99      time.Duration
	limit         [2]int        // least and most
	recovered     time.Duration // after its end; negative: not before the next
}

// figures judges phase i, of which the first two seconds are not counted. It requires that
// the run was not cut short.
func (r *demoRun) figures(i int) demoFigures {
	phases := demoPhases()
	from := time.Duration(0)
	for _, p := range phases[:i] {
		from += p.long
	}
	begin, end := int(from/time.Second)+2, int((from+phases[i].long)/time.Second)
	f := demoFigures{limit: [2]int{math.MaxInt, 0}, recovered: -1}
	var took []time.Duration
	for _, s := range r.seconds[begin:end] {
		f.good += float64(s.good)
		f.dropped += float64(s.dropped)
		took = append(took, s.took...)
		f.limit = [2]int{min(f.limit[0], s.limit), max(f.limit[1], s.limit)}
	}
	span := float64(end - begin)
	f.good, f.dropped = f.good/span, f.dropped/span
	slices.Sort(took)
	if n := len(took); n > 0 {
		f.p50, f.p99 = took[n/2], took[min(n-1, n*99/100)]
	}
	const enough = 0.85 * 2 * demoRate // good answers in two seconds
	for t := end; i+1 < len(phases) && t+2 <= end+int(phases[i+1].long/time.Second); t++ {
		if float64(r.seconds[t].good+r.seconds[t+1].good) >= enough {
			f.recovered = time.Duration(t-end) * time.Second
			break
		}
	}
	return f
}

// tellDemo writes the table as Markdown.
func tellDemo(e *env, runs []*demoRun) {
	e.say("| limiter | phase | good/s | given up/s | p50, p99 ms | limit | recovered after |\n| --- | --- | --- | --- | --- | --- | --- |")
	for _, r := range runs {
		for i, p := range demoPhases() {
			if p.name == "" {
				continue
			}
			f := r.figures(i)
			limit := fmt.Sprintf("%d to %d", f.limit[0], f.limit[1])
			if f.limit[1] == math.MaxInt {
				limit = "none"
			}
			recovered := fmt.Sprintf("%.0f s", f.recovered.Seconds())
			switch {
			case p.name == "normal":
				recovered = "-"
			case f.recovered < 0:
				recovered = "not"
			}
			e.say("| %s | %s | %.0f | %.0f | %.0f, %.0f | %s | %s |", r.name, p.name, f.good, f.dropped,
				1000*f.p50.Seconds(), 1000*f.p99.Seconds(), limit, recovered)
		}
	}
}
