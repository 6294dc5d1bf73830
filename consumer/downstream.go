package consumer

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/breaker"
	"github.com/spillwaymq/spillway/limiter"
)

// Downstream says how that is protected which handlers call: how many calls at once, how
// many in a time, and when none at all. Its messages wait in their tenants' queues until it
// admits them, and those for others pass them by. The zero value is usable: an adaptive
// limit, a breaker, and no rate.
type Downstream struct {
	// Limit is how many messages for it run at once.
	Limit Limit
	// Breaker keeps all messages from it while too many fail.
	Breaker Breaker
	// Rate is how many start in a time, in bursts of Rate.Burst. The zero Rate: no bound.
	Rate limiter.Rate
	// SharedRate makes Rate hold for all processes together, through Config.SharedRate.
	// Otherwise it holds for each.
	SharedRate bool
}

// Limit says how many messages for a downstream run at once, in each process.
type Limit struct {
	// Algorithm decides the limit, by how long runs take and how many end in an overload
	// answer or by their Timeout. Default [limiter.Adaptive].
	Algorithm limiter.Algorithm
	// Min and Max bound the limit. Defaults 1 and Config.Workers; [limiter.Fixed] needs Max,
	// which is its limit, and [limiter.None] ignores all of this.
	Min, Max int
	// Initial is the limit to begin with. Default 10, as far as Min and Max allow.
	Initial int
	// Target is for [limiter.SLO] alone, which needs it: 99 in 100 runs take no longer.
	Target time.Duration
	// Brake, if not 0, is the time above which a success counts as an overload answer.
	Brake time.Duration
}

// Breaker says when a downstream is left alone, and for how long. Failures are errors,
// panics and timeouts of handlers; RetryAfter and Overloaded are not, DeadLetter is a success.
type Breaker struct {
	// Disabled leaves the downstream without a breaker.
	Disabled bool
	// FailureRatio is the share of failures among the runs of the window at which it opens;
	// above 0, at most 1, default 0.5.
	FailureRatio float64
	// MinCalls is how many runs the window needs before it may open. Default 20.
	MinCalls int
	// Window is the time over which runs are counted. Default 10s.
	Window time.Duration
	// SlowCall is how long a run may take before it is slow, and SlowRatio the share of slow
	// runs at which the breaker opens, default 0.5. Default 0: none is slow.
	SlowCall  time.Duration
	SlowRatio float64
	// Open is how long it is open at first, default 5s, and MaxOpen how long at most when
	// probes fail again and again, default 1m.
	Open, MaxOpen time.Duration
	// Probes is how many messages are tried when that time is over, and must succeed before
	// all may go on. Default 1: one that fails spends one attempt.
	Probes int
}

// RateLimiter admits so many messages in a time, together with all that share it. It is
// told the present time, and must neither block nor call the Consumer; several goroutines
// call it at once. A [limiter.TokenBucket] is one, and so is a Bucket of package redisbucket.
// One that is a [DegradedRate] is asked for that, too.
type RateLimiter interface {
	// AllowN takes n tokens, if there are as many at now; otherwise it takes none.
	AllowN(now time.Time, n int) bool
	// Next returns when it is worth asking AllowN for n again: now, if it would admit; ok is
	// false if that is not known.
	Next(now time.Time, n int) (at time.Time, ok bool)
	// Refund gives back n tokens that were taken just now, and not used.
	Refund(n int)
}

// DegradedRate is a RateLimiter that can be cut off from those who share it.
type DegradedRate interface {
	// Degraded reports whether it decides without them at present. It must not block.
	Degraded() bool
}

// Defaults, as documented on the fields.
const (
	defaultRatio    = 0.5
	defaultMinCalls = 20
	defaultWindow   = 10 * time.Second
	defaultOpen     = 5 * time.Second
	defaultMaxOpen  = time.Minute
	defaultProbes   = 1
)

// WithDefaults returns a copy of d in which every field holds what is in force in a process
// of so many workers: the default where it had its zero value and has one that is not.
func (d Downstream) WithDefaults(workers int) Downstream {
	setDefault(&d.Limit.Algorithm, limiter.Adaptive)
	if d.Limit.Algorithm != limiter.None && d.Limit.Algorithm != limiter.Fixed {
		setDefault(&d.Limit.Min, 1)
		setDefault(&d.Limit.Max, max(workers, d.Limit.Min, d.Limit.Initial))
	}
	b := &d.Breaker
	if b.Disabled {
		return d
	}
	setDefault(&b.FailureRatio, defaultRatio)
	setDefault(&b.MinCalls, defaultMinCalls)
	setDefault(&b.Window, defaultWindow)
	setDefault(&b.Open, defaultOpen)
	setDefault(&b.MaxOpen, max(b.Open, defaultMaxOpen))
	setDefault(&b.Probes, defaultProbes)
	if b.SlowCall > 0 {
		setDefault(&b.SlowRatio, defaultRatio)
	}
	return d
}

// config is l as the limiter understands it.
func (l Limit) config() limiter.Config {
	return limiter.Config{
		Algorithm: l.Algorithm, Min: l.Min, Max: l.Max, Initial: l.Initial,
		Target: l.Target, Brake: l.Brake,
	}
}

func (b Breaker) config() breaker.Config {
	return breaker.Config{
		FailureRatio: b.FailureRatio, MinCalls: b.MinCalls, Window: b.Window,
		SlowCall: b.SlowCall, SlowRatio: b.SlowRatio, Open: b.Open, MaxOpen: b.MaxOpen, Probes: b.Probes,
	}
}

// Validate reports every mistake in d; the names in its errors begin with field.
func (d Downstream) Validate(field string) error {
	var c check
	d.WithDefaults(1).validate(&c, field)
	return c.err()
}

// validate lets those who work by it say what is wrong.
func (d Downstream) validate(c *check, field string) {
	if d.Limit.Algorithm != limiter.None {
		_, err := limiter.New(d.Limit.config())
		c.translate(err, "Config", field+".Limit")
	}
	if !d.Breaker.Disabled {
		_, err := breaker.New(d.Breaker.config())
		c.translate(err, "Config", field+".Breaker")
	} else {
		c.that(d.Breaker == Breaker{Disabled: true}, "%s.Breaker.Disabled is true, must not be with other fields of %s.Breaker", field, field)
	}
	if d.Rate != (limiter.Rate{}) {
		c.rate(field+".Rate", d.Rate)
	} else {
		c.that(!d.SharedRate, "%s.SharedRate is true, must not be without %s.Rate", field, field)
	}
}

func (c *check) rate(field string, r limiter.Rate) {
	_, err := limiter.NewTokenBucket(r)
	c.translate(err, "Rate", field)
}

// translate takes over the mistakes that err joins, which name fields of a struct called
// from, as mistakes of field.
func (c *check) translate(err error, from, field string) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			c.translate(e, from, field)
		}
		return
	}
	if inner := errors.Unwrap(err); inner != nil {
		c.translate(inner, from, field)
		return
	}
	text := strings.ReplaceAll(err.Error(), ": must be", ", must be")
	text = strings.ReplaceAll(text, from+".", field+".")
	if rest, whole := strings.CutPrefix(text, from+" is "); whole {
		text = field + " is " + rest
	}
	c.that(false, "%s", text)
}

func (cfg Config) validateDownstreams(c *check) {
	for _, name := range slices.Sorted(maps.Keys(cfg.Downstreams)) {
		field := "Downstreams[" + name + "]"
		d := cfg.Downstreams[name]
		d.WithDefaults(cfg.Workers).validate(c, field)
		c.that(!d.SharedRate || cfg.SharedRate != nil, "%s.SharedRate is true, must not be without Config.SharedRate", field)
	}
}

// checkUse reports downstreams that no route names: a name that is misspelled there would
// have the defaults, and nobody would know.
func (cfg Config) checkUse(m *Mux) error {
	used := m.downstreams()
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Downstreams)) {
		if !slices.Contains(used, name) {
			errs = append(errs, fmt.Errorf("consumer: Downstreams[%s] is used by no route, must be one of those that routes name: %s", name, strings.Join(used, ", ")))
		}
	}
	return errors.Join(errs...)
}

// downstreams returns what the routes name, in order.
func (m *Mux) downstreams() []string {
	var names []string
	for _, r := range m.routes {
		names = append(names, r.Downstream)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// downstream returns how the downstream of that name is protected. What handlers call that
// name none is not known, and may be nothing at all: it has no limit and no breaker unless
// it was configured.
func (cfg Config) downstream(name string) Downstream {
	d, configured := cfg.Downstreams[name]
	if !configured && name == DefaultDownstream {
		return Downstream{Limit: Limit{Algorithm: limiter.None}, Breaker: Breaker{Disabled: true}}
	}
	return d.WithDefaults(cfg.Workers)
}
