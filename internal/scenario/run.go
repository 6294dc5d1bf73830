package scenario

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os/exec"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Config says where and how scenarios run.
type Config struct {
	// Connect returns JetStream on a new connection, which the caller closes. Required.
	Connect func() (jetstream.JetStream, error)
	// Server is where processes that a scenario starts connect to.
	Server Server
	// Child returns a command that starts this program so that it calls [ServeTask]. Scenarios
	// that need processes of their own fall short without it.
	Child func(ctx context.Context) (*exec.Cmd, error)
	// Embedded says that the server is there for this run alone.
	Embedded bool
	// Seed is of all that is random. The same seed publishes the same.
	Seed uint64
	// Scale multiplies sizes and times. Default 1, which is what bounds are meant for; at
	// least 0.001, at most 100.
	Scale float64
	// Limit is how long one scenario may take. Default 3m.
	Limit time.Duration
	// Version of the program, for the report.
	Version string
	// Progress, if given, is told what goes on, at least each second. Calls do not overlap.
	Progress func(Progress)
}

// Server is where NATS is, for other processes.
type Server struct {
	URL         string `json:"url"`
	Credentials string `json:"credentials,omitempty"` // a .creds file
}

// Bounds and defaults of Config.
const (
	minScale     = 0.001
	maxScale     = 100
	defaultLimit = 3 * time.Minute
)

// Validate reports every mistake in c.
func (c Config) Validate() error {
	var errs []error
	if c.Connect == nil {
		errs = append(errs, errors.New("scenario: Config.Connect is nil, must be given"))
	}
	if c.Scale != 0 && !(c.Scale >= minScale && c.Scale <= maxScale) || math.IsNaN(c.Scale) {
		errs = append(errs, fmt.Errorf("scenario: Config.Scale is %v, must be from %v to %v", c.Scale, minScale, maxScale))
	}
	if c.Limit < 0 {
		errs = append(errs, fmt.Errorf("scenario: Config.Limit is %v, must not be negative", c.Limit))
	}
	return errors.Join(errs...)
}

func (c Config) withDefaults() Config {
	if c.Scale == 0 {
		c.Scale = 1
	}
	if c.Limit == 0 {
		c.Limit = defaultLimit
	}
	if c.Progress == nil {
		c.Progress = func(Progress) {}
	}
	return c
}

// Progress is what goes on.
type Progress struct {
	Scenario   string
	Number, Of int           // which of how many it is, from 1
	Elapsed    time.Duration // since its beginning
	Doing      string        // what it does now
	Ended      bool          // it is over
	Verdict    Verdict       // then: the worst of its rows
}

// Run runs the scenarios one after another, and says what became of each. One that cannot be
// brought to its end falls short, and the others run. When ctx ends, the one that runs is
// broken off and the rest is left out. What a scenario has made on the server is removed in any
// case. The error is one of cfg alone.
func Run(ctx context.Context, cfg Config, scenarios []Scenario) (*Report, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	report := &Report{Version: cfg.Version, Machine: ThisMachine(), Began: time.Now().UTC(), Seed: cfg.Seed, Scale: cfg.Scale, Embedded: cfg.Embedded}
	for i, s := range scenarios {
		if ended(ctx) {
			break
		}
		t := &teller{tell: cfg.Progress, began: time.Now(), now: Progress{Scenario: s.Name, Number: i + 1, Of: len(scenarios)}}
		rows := runOne(ctx, cfg, s, t, report)
		report.Took = append(report.Took, Took{Scenario: s.Name, Seconds: time.Since(t.began).Seconds()})
		report.add(s, rows)
		t.end(worst(rows))
	}
	report.Interrupted = ended(ctx)
	return report, nil
}

func ended(ctx context.Context) bool { return ctx.Err() != nil }

// runOne runs one on a rig of its own, and adds to the report whether it was disturbed.
func runOne(ctx context.Context, cfg Config, s Scenario, t *teller, report *Report) []Row {
	if s.Embedded != "" && !cfg.Embedded {
		return []Row{{Claim: s.Claim, Verdict: Skipped, Note: s.Embedded}}
	}
	rig, err := newRig(cfg, s.Name, t.doing)
	if err != nil {
		return []Row{failed(s, err)}
	}
	inside, cancel := context.WithTimeout(ctx, cfg.Limit)
	defer cancel()
	look := lookout{children: rig.family}
	var around sync.WaitGroup
	around.Go(func() { look.watch(inside) })
	around.Go(func() { t.beat(inside) })
	t.doing("beginning")
	rows, err := s.run(inside, rig)
	overdue := ended(inside) && !ended(ctx)
	cancel()
	around.Wait()
	if overdue {
		err = fmt.Errorf("it was not over after %v: %w", cfg.Limit, err)
	}
	if err != nil && !ended(ctx) {
		rows = append(rows, failed(s, err))
	}
	if err := rig.close(ctx); err != nil {
		report.Left = append(report.Left, fmt.Sprintf("streams named %s…: %v", rig.tag, err))
	}
	if look.wasDisturbed() {
		report.Disturbed = append(report.Disturbed, Disturbance{s.Name, look.worst})
	}
	return rows
}

// run is Run behind a fence: a scenario that panics falls short, and is cleaned up after.
func (s Scenario) run(ctx context.Context, r *Rig) (rows []Row, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("it panicked: %v", v)
		}
	}()
	return s.Run(ctx, r)
}

func failed(s Scenario, err error) Row {
	return Row{Claim: s.Claim, Verdict: Short, Exact: true, Note: "could not be brought to its end: " + strings.ReplaceAll(err.Error(), "\n", "; ")}
}

// worst returns the verdict that tells most of the rows.
func worst(rows []Row) Verdict {
	verdict := Skipped
	for _, r := range rows {
		if r.Verdict == Short {
			return Short
		}
		if r.Verdict == OK {
			verdict = OK
		}
	}
	return verdict
}

// teller tells of one scenario.
type teller struct {
	tell  func(Progress)
	began time.Time

	mu  sync.Mutex // guards now, and is held in calls of tell, so that they do not overlap
	now Progress
}

func (t *teller) doing(what string) { t.change(func(p *Progress) { p.Doing = what }) }
func (t *teller) end(v Verdict)     { t.change(func(p *Progress) { p.Ended, p.Verdict = true, v }) }

func (t *teller) change(f func(*Progress)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	f(&t.now)
	t.now.Elapsed = time.Since(t.began)
	t.tell(t.now)
}

func (t *teller) beat(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.change(func(*Progress) {})
		}
	}
}
