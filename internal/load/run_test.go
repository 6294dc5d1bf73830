package load_test

import (
	"context"
	"errors"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/internal/load"
)

func runner(t testing.TB, c load.Config) *load.Runner {
	t.Helper()
	r, err := load.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// balanced checks what holds of every run.
func balanced(t interface{ Errorf(string, ...any) }, r *load.Result) {
	sum := load.Account{}
	for _, s := range r.Stages {
		if s.Sent+s.Dropped != s.Scheduled || s.OK+s.Failed+s.Unfinished != s.Sent || s.Latency.Count() != s.Done() {
			t.Errorf("stage %s does not balance: %+v", s.Stage, s.Account)
		}
		sum.Scheduled += s.Scheduled
	}
	failures := int64(0)
	for _, f := range r.Failures {
		failures += f.Count
	}
	if r.Sent+r.Dropped != r.Scheduled || r.OK+r.Failed+r.Unfinished != r.Sent || sum.Scheduled != r.Scheduled ||
		r.Latency.Count() != r.Done() || r.Success.Count() != r.OK || r.Lag.Count() != r.Sent || failures != r.Failed {
		t.Errorf("does not balance: %+v, %d latencies, %d failures", r.Account, r.Latency.Count(), failures)
	}
}

// stalling answers after a service time, but from the 5th to the 6th second of its life
// not at all.
func stalling(service time.Duration) load.Func {
	begin := time.Now()
	return func(ctx context.Context, _ load.Request) error {
		d := service
		if in := time.Since(begin); in >= 5*time.Second && in < 6*time.Second {
			d += 6*time.Second - in
		}
		return wait(ctx, d)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func about(t *testing.T, what string, got, want, by float64) {
	t.Helper()
	if math.Abs(got-want) > by {
		t.Errorf("%s is %v, want %v ± %v", what, got, want, by)
	}
}

// The requirement that the package is for.
func TestAStallIsSeenByAllWhoWouldHaveWaited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const service = time.Millisecond
		r := runner(t, load.Config{Stages: parsed(t, "1000/s:20s")})
		open := r.Run(t.Context(), stalling(service))
		balanced(t, open)
		if !open.Valid() || open.OK != 20_000 {
			t.Errorf("%+v, invalid: %v", open.Account, open.Invalid)
		}
		slow := open.Latency.Above(2 * service)
		about(t, "slow requests", float64(slow), 1000, 10)
		excess := open.Latency.Mean().Seconds()*20_000 - 20_000*service.Seconds()
		about(t, "their mean wait in ms", excess/float64(slow)*1000, 500, 10)
		about(t, "the p99 in ms", open.Latency.Quantile(0.99).Seconds()*1000, 800, 10)

		closed := r.RunClosed(t.Context(), stalling(service), 10)
		balanced(t, closed)
		about(t, "slow requests of the closed loop", float64(closed.Latency.Above(2*service)), 10, 0)
		about(t, "what it never sent", float64(closed.Dropped), 990, 5)
		about(t, "its p99 in ms", closed.Latency.Quantile(0.99).Seconds()*1000, 1, 0.1)
		if closed.Valid() {
			t.Error("a closed loop is taken for valid")
		}
	})
}

func TestWhatWaitsForRoomKeepsItsTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runner(t, load.Config{Stages: parsed(t, "1000/s:20s"), MaxInFlight: 50})
		res := r.Run(t.Context(), stalling(time.Millisecond))
		balanced(t, res)
		about(t, "slow requests", float64(res.Latency.Above(2*time.Millisecond)), 1000, 30)
		if res.Dropped != 0 || res.MaxInFlight != 50 || res.HeldBack == 0 {
			t.Errorf("%+v, %d in flight, %d held back", res.Account, res.MaxInFlight, res.HeldBack)
		}
		if res.Valid() || !strings.Contains(res.Invalid[0], "while 50 were in flight") {
			t.Errorf("a run that waited for room says %q", res.Invalid)
		}
	})
}

func TestWhatWaitsTooLongIsDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runner(t, load.Config{Stages: parsed(t, "100/s:1s"), MaxInFlight: 10, Timeout: 5 * time.Second, MaxDelay: 100 * time.Millisecond})
		res := r.Run(t.Context(), load.Func(func(ctx context.Context, _ load.Request) error { return wait(ctx, time.Hour) }))
		balanced(t, res)
		if res.Sent != 10 || res.Failed != 10 || res.Dropped != 90 || res.Valid() {
			t.Errorf("%+v, invalid: %v", res.Account, res.Invalid)
		}
		about(t, "seconds until the end", res.Seconds, 5.09, 0.2)
		if len(res.Failures) != 1 || res.Failures[0].Error != "not done within 5s" {
			t.Errorf("failures are %v", res.Failures)
		}
	})
}

// slowStart is a target that holds the generator itself up, once.
type slowStart struct{}

func (slowStart) Start(_ context.Context, c *load.Call) {
	if c.ID == 0 {
		time.Sleep(time.Second)
	}
	c.Done(nil)
}

func TestWhatIsTooLateAnywayIsDroppedThoughThereIsRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runner(t, load.Config{Stages: parsed(t, "100/s:2s"), MaxDelay: 300 * time.Millisecond})
		res := r.Run(t.Context(), slowStart{})
		balanced(t, res)
		about(t, "dropped", float64(res.Dropped), 70, 1)
		about(t, "latest in ms", res.Latency.Max().Seconds()*1000, 1000, 1) // the first itself
		if res.Valid() || !strings.Contains(strings.Join(res.Invalid, "\n"), "were dropped") {
			t.Errorf("invalid: %q", res.Invalid)
		}
	})
}

// A target that takes requests and does nothing, not even look at its context.
type void struct{}

func (void) Start(context.Context, *load.Call) {}

func TestATargetThatNeverAnswersEndsWithTheTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runner(t, load.Config{Stages: parsed(t, "100/s:1s"), Timeout: 2 * time.Second})
		res := r.Run(t.Context(), void{})
		balanced(t, res)
		if res.Failed != 100 || res.Valid() {
			t.Errorf("%+v, invalid: %v", res.Account, res.Invalid)
		}
		about(t, "seconds until the end", res.Seconds, 3, 0.1)
	})
}

func TestCancelEndsWithTheAccountSoFar(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		r := runner(t, load.Config{Stages: parsed(t, "1000/s:10s")})
		res := r.Run(ctx, load.Func(func(ctx context.Context, _ load.Request) error { return wait(ctx, time.Second) }))
		balanced(t, res)
		if !res.Interrupted || !res.Valid() {
			t.Errorf("interrupted: %t, invalid: %v", res.Interrupted, res.Invalid)
		}
		about(t, "scheduled", float64(res.Scheduled), 2500, 2)
		about(t, "unfinished", float64(res.Unfinished), 1000, 2)
		about(t, "seconds", res.Seconds, 2.5, 0.01)
	})
}

func TestACallThatIgnoresItsContextDoesNotHoldTheRunUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		free := make(chan struct{})
		r := runner(t, load.Config{Stages: parsed(t, "10/s:100ms"), Timeout: time.Second})
		res := r.Run(t.Context(), load.Func(func(context.Context, load.Request) error { <-free; return nil }))
		balanced(t, res)
		if res.Failed != 1 || len(res.Warnings) != 1 {
			t.Errorf("%+v, warnings: %q", res.Account, res.Warnings)
		}
		close(free)
	})
}

func TestProgressIsToldWhileItRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var seen []load.Progress
		r := runner(t, load.Config{
			Stages: parsed(t, "100/s:2s", "1000/s:2s"), OnProgress: func(p load.Progress) { seen = append(seen, p) },
			Every: 1001 * time.Millisecond,
		})
		r.Run(t.Context(), load.Func(func(ctx context.Context, _ load.Request) error { return wait(ctx, 50*time.Millisecond) }))
		if len(seen) != 4 && len(seen) != 3 {
			t.Fatalf("told %d times", len(seen))
		}
		first, last := seen[0], seen[2]
		about(t, "rate at first", first.Rate, 100, 0)
		about(t, "sent at first", first.Sent, 100, 1)
		about(t, "rate at last", last.Rate, 1000, 0)
		about(t, "sent at last", last.Sent, 1000, 5)
		about(t, "in flight", float64(last.InFlight), 50, 2)
		about(t, "p99 in ms", last.P99.Seconds()*1000, 50, 1)
	})
}

func TestTenantsAndStagesAreToldApart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runner(t, load.Config{
			Stages: parsed(t, "100/s:1s", "1000/s:1s"), Arrivals: load.Poisson, Seed: 5,
			Tenants: load.Tenants{Names: []string{"quick", "slow"}},
		})
		res := r.Run(t.Context(), load.Func(func(ctx context.Context, q load.Request) error {
			if q.Tenant == "slow" {
				return wait(ctx, 100*time.Millisecond)
			}
			return nil
		}))
		balanced(t, res)
		if len(res.Stages) != 2 || res.Stages[1].Scheduled < 5*res.Stages[0].Scheduled {
			t.Errorf("stages are %+v", res.Stages)
		}
		if q, s := res.Tenants[0], res.Tenants[1]; q.Latency.Max() > time.Millisecond || s.Latency.Quantile(0.01) < 99*time.Millisecond || q.OK+s.OK != res.OK {
			t.Errorf("tenants are %+v and %+v", q, s)
		}
	})
}

// Whatever a target does with its calls, and whenever the run ends, nothing is skipped.
func TestEveryRequestIsAccountedForUnderEveryFailure(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		cfg := load.Config{
			Stages: []load.Stage{{
				From: rapid.Float64Range(1, 2000).Draw(rt, "from"), To: rapid.Float64Range(1, 2000).Draw(rt, "to"),
				For: time.Duration(rapid.IntRange(1, 2000).Draw(rt, "ms")) * time.Millisecond,
			}},
			Arrivals:    rapid.SampledFrom([]load.Arrivals{load.Constant, load.Poisson}).Draw(rt, "arrivals"),
			Seed:        rapid.Uint64().Draw(rt, "seed"),
			MaxInFlight: rapid.IntRange(1, 100).Draw(rt, "in flight"),
			Timeout:     time.Duration(rapid.IntRange(1, 500).Draw(rt, "timeout")) * time.Millisecond,
			MaxDelay:    time.Duration(rapid.IntRange(1, 500).Draw(rt, "delay")) * time.Millisecond,
		}
		cancelAfter := time.Duration(rapid.IntRange(0, 3000).Draw(rt, "cancel")) * time.Millisecond
		moods := rapid.SliceOfN(rapid.IntRange(0, 4), 1, 20).Draw(rt, "moods")
		closed := rapid.IntRange(0, 5).Draw(rt, "closed")
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), cancelAfter)
			defer cancel()
			target := &moody{moods: moods}
			r := runner(t, cfg)
			var res *load.Result
			if closed == 0 {
				res = r.Run(ctx, target)
			} else {
				res = r.RunClosed(ctx, target, closed)
			}
			target.calls.Wait()
			balanced(rt, res)
			least, most := due(r.Schedule(), min(cancelAfter, time.Duration(res.Seconds*float64(time.Second)+1)))
			if res.Scheduled < least || res.Scheduled > most {
				rt.Errorf("%d were scheduled in %v s, cancelled after %v; the schedule has %d to %d", res.Scheduled, res.Seconds, cancelAfter, least, most)
			}
		})
	})
}

// due counts the requests before end, and those up to it.
func due(s *load.Schedule, end time.Duration) (before, upTo int64) {
	for a := range s.All() {
		if a.At < end {
			before++
		}
		if a.At <= end {
			upTo++
		}
	}
	return before, upTo
}

// moody ends its calls well, badly, late, twice or never.
type moody struct {
	moods []int
	calls sync.WaitGroup
}

var errMood = errors.New("not today")

func (m *moody) Start(_ context.Context, c *load.Call) {
	switch mood := m.moods[c.ID%int64(len(m.moods))]; mood {
	case 0:
		c.Done(nil)
	case 1:
		c.Done(errMood)
		c.Done(nil)
	case 2, 3:
		m.calls.Go(func() {
			time.Sleep(time.Duration(mood) * 100 * time.Millisecond)
			c.Done(nil)
			c.Done(errMood)
		})
	}
}

func TestFailuresOfManyNamesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := runner(t, load.Config{Stages: parsed(t, "1000/s:1s")})
		res := r.Run(t.Context(), load.Func(func(_ context.Context, q load.Request) error {
			return errors.New(strings.Repeat("x", int(q.ID)) + "\x1b[2J\xff")
		}))
		balanced(t, res)
		if len(res.Failures) > 21 || res.Valid() {
			t.Errorf("%d failures are told apart", len(res.Failures))
		}
		for _, f := range res.Failures {
			if len(f.Error) > 210 || strings.Contains(f.Error, "\x1b") {
				t.Errorf("a failure is called %q", f.Error)
			}
		}
	})
}

// In real time the generator must work too; how precisely is told by the run itself.
func TestARunInRealTimeSendsAll(t *testing.T) {
	r := runner(t, load.Config{Stages: parsed(t, "2000/s:300ms"), Arrivals: load.Poisson})
	res := r.Run(t.Context(), load.Func(func(context.Context, load.Request) error { return nil }))
	balanced(t, res)
	if res.OK != res.Scheduled || res.OK < 400 {
		t.Errorf("%+v", res.Account)
	}
}
