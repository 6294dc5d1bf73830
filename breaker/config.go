package breaker

import (
	"errors"
	"fmt"
	"time"
)

// Config says when a Breaker opens, and for how long. The zero value is usable: every
// field has a default.
type Config struct {
	// FailureRatio is the share of failures among the results of the window at which the
	// breaker opens; above 0, at most 1, default 0.5.
	FailureRatio float64

	// SlowCall is how long a call may take, failed or not, before it is slow; 0: none is.
	// A result is timed from Allow to Record.
	SlowCall time.Duration

	// SlowRatio is the share of slow calls at which the breaker opens; above 0, at most 1,
	// default 0.5. It needs SlowCall.
	SlowRatio float64

	// MinCalls is how many results the window needs before the breaker may open; default
	// 20, or Calls if that is less.
	MinCalls int

	// Window is the time over which results are counted; 1 ms to 1 h, default 10 s. It ends
	// with the bucket that fills at present, so it is up to a bucket shorter, or longer if
	// it is no multiple of one.
	Window time.Duration

	// Calls, if not 0, counts over that many of the last results instead of a time; at most
	// 1,000,000. Window must be 0 then.
	Calls int

	Open    time.Duration // how long it is open at first; default 5 s
	MaxOpen time.Duration // what that grows to when probes fail again and again; default 1 min, or Open if that is more

	// Probes is how many calls are admitted half-open, and must succeed; at most 10,000,
	// default 3.
	Probes int

	// ProbeTimeout is how long a probe keeps its place without a result; default Open.
	ProbeTimeout time.Duration

	// Classify, if not nil, says for Do what an error means; it is not asked about nil, which
	// is a Success, nor about errors of calls that the caller cancelled, which are Ignored.
	// Default: all errors are a Failure. It is called without a lock held.
	Classify func(error) Result

	// OnStateChange, if not nil, is called after each change of state, without a lock held
	// and in the order of the changes, one at a time. It may call the breaker; a change that
	// it brings about is told after it has returned. It runs on a goroutine that called the
	// breaker, perhaps not the one that caused the change, and should be quick.
	OnStateChange func(Transition)
}

const (
	defaultRatio    = 0.5
	defaultMinCalls = 20
	defaultWindow   = 10 * time.Second
	defaultOpen     = 5 * time.Second
	defaultMaxOpen  = time.Minute
	defaultProbes   = 3

	minWindow = time.Millisecond
	maxWindow = time.Hour
	maxCalls  = 1_000_000
	maxProbes = 10_000
	maxTime   = 366 * 24 * time.Hour
)

// withDefaults returns c with its zero fields filled in, and all that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	err := errors.Join(
		ratio("Config.FailureRatio", c.FailureRatio),
		ratio("Config.SlowRatio", c.SlowRatio),
		within("Config.SlowCall", c.SlowCall, maxTime),
		within("Config.MinCalls", c.MinCalls, maxCalls),
		within("Config.Calls", c.Calls, maxCalls),
		within("Config.Open", c.Open, maxTime),
		within("Config.MaxOpen", c.MaxOpen, maxTime),
		within("Config.Probes", c.Probes, maxProbes),
		within("Config.ProbeTimeout", c.ProbeTimeout, maxTime),
		c.crossed(),
	)
	if c.SlowCall > 0 {
		c.SlowRatio = orDefault(c.SlowRatio, defaultRatio)
	}
	if c.Calls == 0 {
		c.Window = orDefault(c.Window, defaultWindow)
		c.MinCalls = orDefault(c.MinCalls, defaultMinCalls)
	} else {
		c.MinCalls = orDefault(c.MinCalls, min(defaultMinCalls, c.Calls))
	}
	c.FailureRatio = orDefault(c.FailureRatio, defaultRatio)
	c.Open = orDefault(c.Open, defaultOpen)
	c.MaxOpen = orDefault(c.MaxOpen, max(c.Open, defaultMaxOpen))
	c.Probes = orDefault(c.Probes, defaultProbes)
	c.ProbeTimeout = orDefault(c.ProbeTimeout, c.Open)
	return c, err
}

// crossed is about fields that do not go together.
func (c Config) crossed() error {
	var errs []error
	if c.Window != 0 && (c.Window < minWindow || c.Window > maxWindow) {
		errs = append(errs, fmt.Errorf("Config.Window is %v: must be from %v to %v", c.Window, minWindow, maxWindow))
	}
	if c.Window != 0 && c.Calls != 0 {
		errs = append(errs, fmt.Errorf("Config.Window is %v: must be 0 with Config.Calls, which is %d", c.Window, c.Calls))
	}
	if c.Calls > 0 && c.MinCalls > c.Calls {
		errs = append(errs, fmt.Errorf("Config.MinCalls is %d: must be at most Config.Calls, which is %d", c.MinCalls, c.Calls))
	}
	if c.SlowRatio != 0 && c.SlowCall == 0 {
		errs = append(errs, fmt.Errorf("Config.SlowRatio is %v: must be 0 without Config.SlowCall", c.SlowRatio))
	}
	if open := orDefault(c.Open, defaultOpen); c.MaxOpen > 0 && c.MaxOpen < open {
		errs = append(errs, fmt.Errorf("Config.MaxOpen is %v: must be at least Config.Open, which is %v", c.MaxOpen, open))
	}
	return errors.Join(errs...)
}

// ratio lets 0 stand for the default.
func ratio(field string, r float64) error {
	if !(r >= 0 && r <= 1) { // true for NaN
		return fmt.Errorf("%s is %v: must be above 0 and at most 1", field, r)
	}
	return nil
}

func within[N int | time.Duration](field string, n, most N) error {
	if n < 0 || n > most {
		return fmt.Errorf("%s is %v: must be from 0 (for its default) to %v", field, n, most)
	}
	return nil
}

func orDefault[N int | float64 | time.Duration](n, def N) N {
	if n == 0 {
		return def
	}
	return n
}

// settings are a Config worked out; they are never changed.
type settings struct {
	Config
	failures, slow float64 // ratios, lowered by what a product of floats may be off
	timed          bool    // results need a time: for the window, or to be found slow
}

func (c Config) settings() *settings {
	const exact = 1 - 1e-12
	return &settings{
		Config:   c,
		failures: c.FailureRatio * exact, slow: c.SlowRatio * exact,
		timed: c.Calls == 0 || c.SlowCall > 0,
	}
}

// trips returns whether such counts open the breaker.
func (s *settings) trips(c counts) (Reason, bool) {
	switch {
	case c.calls < s.MinCalls:
		return "", false
	case float64(c.failures) >= s.failures*float64(c.calls):
		return TooManyFailures, true
	case s.SlowCall > 0 && float64(c.slow) >= s.slow*float64(c.calls):
		return TooManySlow, true
	}
	return "", false
}
