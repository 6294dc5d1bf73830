package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/internal/load"
)

// loadCommand sends load at a rate that does not depend on the answers.
type loadCommand struct {
	settings

	URL      string        `arg:"" optional:"" help:"What is requested, as http://127.0.0.1:9000/{tenant}; without it messages are published, see --subject."`
	Subject  string        `placeholder:"SUBJECT" help:"Publish to this subject, as jobs.{tenant}.x, of the stream of the config. A message is done when the durable has acknowledged it."`
	Rate     loadRate      `default:"100/s" help:"How often (default ${default})."`
	Duration time.Duration `default:"10s" help:"How long (default ${default})."`
	Stage    []loadStage   `sep:"none" placeholder:"RATE:TIME" help:"In place of --rate and --duration, and as often as needed: 100/s:30s, or a ramp, 100/s..1000/s:30s."`
	Poisson  bool          `help:"At random moments, as many users who do not know each other, in place of equal distances."`
	Seed     uint64        `default:"1" help:"Of the schedule; the same seed gives the same (default ${default})."`
	Tenants  loadTenants   `placeholder:"TENANTS" help:"Who stands for {tenant}: a number, or names with their shares, as acme=9,globex=1."`
	Zipf     float64       `placeholder:"S" help:"With a number of tenants: the k-th has 1/k^S of the share of the first."`

	Method string            `help:"Of the HTTP request (default GET, or POST with a body)."`
	Header map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"A header of each request or message; may hold {tenant}."`
	Body   string            `help:"The body of each request, or the payload of each message."`
	Size   int               `placeholder:"BYTES" help:"In place of --body: that many bytes."`

	Timeout     time.Duration `default:"10s" help:"When a request counts as failed (default ${default})."`
	MaxDelay    time.Duration `placeholder:"TIME" help:"How late it may be sent before it is dropped (default: as --timeout)."`
	MaxInFlight int           `default:"4096" help:"How many may be sent and not done (default ${default})."`

	CompareClosed bool `help:"Afterwards do the same with a naive closed loop, and show what it hides."`
	ClosedWorkers int  `default:"10" help:"How many workers it has (default ${default})."`

	JSON bool   `help:"As JSON, durations in seconds."`
	HDR  string `name:"hdr" placeholder:"FILE" help:"Write the percentiles in the text form of HdrHistogram, in milliseconds."`
	SVG  string `name:"svg" placeholder:"FILE" help:"Draw latency by percentile."`
}

// A loadRate is a rate as it is written in a config.
type loadRate struct{ perSecond float64 }

// UnmarshalText reads a rate.
func (r *loadRate) UnmarshalText(text []byte) (err error) {
	r.perSecond, err = load.ParseRate(string(text))
	return err
}

// A loadStage is a stage of a schedule.
type loadStage struct{ load.Stage }

// UnmarshalText reads a stage.
func (s *loadStage) UnmarshalText(text []byte) (err error) {
	if s.Stage, err = load.ParseStage(string(text)); err != nil {
		return inFlags(err)
	}
	return nil
}

// loadTenants are a number of tenants, or names with shares.
type loadTenants struct {
	number int
	named  load.Tenants
}

// UnmarshalText reads tenants.
func (t *loadTenants) UnmarshalText(text []byte) error {
	if n, err := strconv.Atoi(string(text)); err == nil {
		if n < 1 {
			return fmt.Errorf("%d is no number of tenants: it must be positive", n)
		}
		t.number = n
		return nil
	}
	for part := range strings.SplitSeq(string(text), ",") {
		name, share, found := strings.Cut(part, "=")
		weight, err := strconv.ParseFloat(share, 64)
		if !found {
			weight, err = 1, nil
		}
		if err != nil || name == "" {
			return fmt.Errorf("%q must be a number of tenants, or names with shares, as acme=9,globex=1", text)
		}
		t.named.Names = append(t.named.Names, name)
		t.named.Weights = append(t.named.Weights, weight)
	}
	return nil
}

// Validate is called by kong.
func (l *loadCommand) Validate() error {
	switch {
	case (l.URL == "") == (l.Subject == ""):
		return errors.New("either a URL or --subject must be given")
	case l.Subject != "" && !scan.IsLiteral(load.SubjectOf(l.Subject, "t")):
		return fmt.Errorf("--subject is %q, must be one subject without wildcards, spaces or empty tokens; %s may stand in it", l.Subject, load.TenantMark)
	case l.Subject != "" && l.Method != "":
		return errors.New("--method is of HTTP requests, not of messages")
	case l.Body != "" && l.Size != 0:
		return errors.New("--body and --size cannot be given both")
	case l.Size < 0 || l.Size > maxLoadBody:
		return fmt.Errorf("--size is %d, must be from 0 to %d", l.Size, maxLoadBody)
	case l.ClosedWorkers < 1 || l.ClosedWorkers > 1024:
		return fmt.Errorf("--closed-workers is %d, must be from 1 to 1024", l.ClosedWorkers)
	case math.IsNaN(l.Zipf) || l.Zipf < 0 || l.Zipf > 10:
		return fmt.Errorf("--zipf is %v, must be from 0 to 10", l.Zipf)
	case l.Zipf > 0 && l.Tenants.number == 0:
		return errors.New("--zipf wants a number of tenants, as --tenants 100")
	}
	return l.validateTenants()
}

// validateTenants finds tenants that nothing would tell apart.
func (l *loadCommand) validateTenants() error {
	if l.Tenants.number == 0 && l.Tenants.named.Names == nil || strings.Contains(l.URL+l.Subject, load.TenantMark) {
		return nil
	}
	for _, value := range l.Header {
		if strings.Contains(value, load.TenantMark) {
			return nil
		}
	}
	return fmt.Errorf("--tenants are given, but %s is in neither the URL, the subject nor a --header", load.TenantMark)
}

// maxLoadBody bounds a payload.
const maxLoadBody = 64 << 20

// Run makes the load, and says what became of it.
func (l *loadCommand) Run(p *process) error {
	files, err := l.open()
	if err != nil {
		return err
	}
	defer files.close()
	if os.Getenv("GOGC") == "" {
		defer debug.SetGCPercent(debug.SetGCPercent(loadGCPercent))
	}
	progress := newLoadProgress(p.stderr)
	runner, err := load.New(l.config(progress))
	if err != nil {
		return &usageError{inFlags(err)}
	}
	return l.withTarget(p, func(ctx context.Context, name string, target load.Target) error {
		shown := loadReport{Target: name, Seed: l.Seed, Poisson: l.Poisson}
		shown.Open = runner.Run(ctx, target)
		if l.CompareClosed && ctx.Err() == nil {
			progress.note("again, with a closed loop")
			shown.Closed = runner.RunClosed(ctx, target, l.ClosedWorkers)
		}
		progress.clear()
		if err := l.show(p.stdout, shown, files); err != nil {
			return err
		}
		if !shown.Open.Valid() {
			return errLoadInvalid
		}
		return nil
	})
}

// loadGCPercent lets a small heap grow before it is collected: collections take the cores
// away from what is to be on time. On 2 cores shared with the server the lag p99 at
// 15,000/s is 0.6 ms with it, and more than 2 ms without.
const loadGCPercent = 400

var errLoadInvalid = errors.New("the run is not valid")

// config returns what to run, whose problems load.New finds.
func (l *loadCommand) config(progress *loadProgress) load.Config {
	c := load.Config{
		Stages: []load.Stage{{From: l.Rate.perSecond, To: l.Rate.perSecond, For: l.Duration}},
		Seed:   l.Seed, Tenants: l.tenants(),
		MaxInFlight: l.MaxInFlight, Timeout: l.Timeout, MaxDelay: l.MaxDelay,
		OnProgress: progress.show(),
	}
	if l.Poisson {
		c.Arrivals = load.Poisson
	}
	if len(l.Stage) > 0 {
		c.Stages = nil
	}
	for _, s := range l.Stage {
		c.Stages = append(c.Stages, s.Stage)
	}
	return c
}

func (l *loadCommand) tenants() load.Tenants {
	if l.Tenants.number > 0 {
		return load.ZipfTenants("tenant-", l.Tenants.number, l.Zipf)
	}
	if l.Tenants.named.Names == nil {
		return load.Tenants{Names: []string{"load"}}
	}
	return l.Tenants.named
}
