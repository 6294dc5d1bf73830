package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/platinummonkey/go-concurrency-limits/core"
	"github.com/platinummonkey/go-concurrency-limits/limit"

	sim "github.com/spillwaymq/spillway/internal/overloadsim"
	"github.com/spillwaymq/spillway/limiter"
)

// admitter is ours in the simulation.
type admitter struct{ l *limiter.Limiter }

type ourPermit struct{ p limiter.Permit }

func (a admitter) Limit() int { return a.l.Limit() }

func (a admitter) TryAcquire(now time.Time) (sim.Permit, bool) {
	p, ok := a.l.TryAcquireAt(now)
	return ourPermit{p}, ok
}

func (p ourPermit) Release(now time.Time, o sim.Outcome) {
	if o == sim.Dropped {
		p.p.ReleaseAt(now, limiter.Drop)
		return
	}
	p.p.ReleaseAt(now, limiter.Success)
}

// nothing admits nothing; it stands for a limiter that could not be made.
type nothing struct{}

func (nothing) Limit() int                              { return 0 }
func (nothing) TryAcquire(time.Time) (sim.Permit, bool) { return nil, false }

// failsafe reads the clock itself, so it runs in a bubble whose clock follows the
// simulation's.
type failsafe struct {
	l     adaptivelimiter.AdaptiveLimiter[any]
	began time.Time
}

type failsafePermit struct {
	f *failsafe
	p adaptivelimiter.Permit
}

func startFailsafeAdmitter() (sim.Admitter, error) {
	return &failsafe{l: adaptivelimiter.NewWithDefaults[any](), began: time.Now()}, nil
}

func (f *failsafe) follow(now time.Time) {
	if d := now.Sub(sim.Epoch) - time.Since(f.began); d > 0 {
		time.Sleep(d)
	}
}

func (f *failsafe) Limit() int { return f.l.Limit() }

func (f *failsafe) TryAcquire(now time.Time) (sim.Permit, bool) {
	f.follow(now)
	p, ok := f.l.TryAcquirePermit()
	return failsafePermit{f, p}, ok
}

func (p failsafePermit) Release(now time.Time, o sim.Outcome) {
	p.f.follow(now)
	if o == sim.Dropped {
		p.p.Drop()
		return
	}
	p.p.Record()
}

// bubbleEnv names the case that a process of its own simulates with failsafe-go: time is
// virtual in tests only, and a process can run tests once.
const bubbleEnv = "SPILLWAY_BENCH_BUBBLE"

const bubbleMark = "simulated "

// simulateInBubble has another process simulate the case.
func simulateInBubble(ctx context.Context, c sim.Case) (served, error) {
	self, err := os.Executable()
	if err != nil {
		return served{}, err
	}
	cmd := exec.CommandContext(ctx, self)
	cmd.Env = append(os.Environ(), bubbleEnv+"="+c.Name)
	out, err := cmd.Output()
	if err != nil {
		return served{}, fmt.Errorf("its process: %w: %s", err, out)
	}
	for line := range strings.Lines(string(out)) {
		if text, ok := strings.CutPrefix(line, bubbleMark); ok {
			var o served
			err := json.Unmarshal([]byte(text), &o)
			return o, err
		}
	}
	return served{}, fmt.Errorf("its process said nothing: %s", out)
}

// bubble is such a process. It does not return.
func bubble(name string) {
	testing.Main(func(string, string) (bool, error) { return true, nil }, []testing.InternalTest{{
		Name: name,
		F: func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, c := range sim.Cases() {
					if c.Name == name {
						printBubble(t, c)
					}
				}
			})
		},
	}}, nil, nil)
}

func printBubble(t *testing.T, c sim.Case) {
	o, err := simulate(c, startFailsafeAdmitter)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = fmt.Fprintf(os.Stdout, "%s%s\n", bubbleMark, text)
}

// published drives a limit of go-concurrency-limits, whose update takes times as arguments.
type published struct {
	limit    core.Limit
	inflight int
}

type publishedPermit struct {
	l        *published
	start    time.Time
	inflight int
}

func (l *published) Limit() int { return l.limit.EstimatedLimit() }

func (l *published) TryAcquire(now time.Time) (sim.Permit, bool) {
	if l.inflight >= l.limit.EstimatedLimit() {
		return nil, false
	}
	l.inflight++
	return publishedPermit{l, now, l.inflight}, true
}

func (p publishedPermit) Release(now time.Time, o sim.Outcome) {
	p.l.inflight--
	p.l.limit.OnSample(p.start.UnixNano(), int64(now.Sub(p.start)), p.inflight, o == sim.Dropped)
}

func startVegas() (sim.Admitter, error) {
	return windowed(limit.NewDefaultVegasLimit("overload", limit.NoopLimitLogger{}, core.EmptyMetricRegistryInstance))
}

func startGradient2() (sim.Admitter, error) {
	return windowed(limit.NewDefaultGradient2Limit("overload", limit.NoopLimitLogger{}, core.EmptyMetricRegistryInstance))
}

// windowed makes a limit look at the means of windows of a second, as its authors run it.
func windowed(l core.Limit) (sim.Admitter, error) {
	w, err := limit.NewWindowedLimit("overload", int64(time.Second), int64(time.Second), 10, int64(100*time.Microsecond), l, core.EmptyMetricRegistryInstance)
	return &published{limit: w}, err
}
