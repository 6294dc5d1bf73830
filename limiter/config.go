package limiter

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Algorithm says what decides the limit. Its values are the names that a config file uses.
type Algorithm string

// The algorithms. The package documentation derives each of them.
const (
	Adaptive Algorithm = "adaptive" // finds the knee of throughput by comparing two limits; the default
	Fixed    Algorithm = "fixed"    // Config.Max, always
	AIMD     Algorithm = "aimd"     // adds 1 per Config.Successes, multiplies by Config.Backoff at a drop
	Vegas    Algorithm = "vegas"    // keeps a short queue, estimated from the round-trip time without load
	Gradient Algorithm = "gradient" // follows the ratio of the long and the short round-trip time
	SLO      Algorithm = "slo"      // keeps the 99th percentile of latency at or under Config.Target
	None     Algorithm = "none"     // no limit; calls are counted
)

var algorithms = []Algorithm{Adaptive, Fixed, AIMD, Vegas, Gradient, SLO, None}

// Config says how a Limiter works. The zero value is usable: every field has a default.
type Config struct {
	Algorithm Algorithm // default Adaptive

	// Initial is the limit to begin with; default 10, as far as Min and Max allow. Fixed
	// has none: it begins and stays at Max.
	Initial int

	Min int // least limit, at least 1; default 1
	Max int // most, at most 1,000,000; default 1000, AIMD 100, Vegas and Gradient 200. Fixed needs it

	Target time.Duration // of SLO only, which needs it: 99 in 100 calls shall take no longer

	Successes int     // of AIMD only: how many make the limit one larger; default 20
	Backoff   float64 // of AIMD only: what a drop multiplies the limit by, above 0 and below 1; default 0.5

	// Brake, if not 0, is the time above which a success is as bad as a drop, for every
	// algorithm: an absolute bound that no baseline can move.
	Brake time.Duration

	// Waiters is how many callers of Acquire may wait, at most 1,000,000; default 10,000.
	// The next gets ErrCrowded.
	Waiters int

	// OnChange, if not nil, is told each change of the limit, in order and one at a time,
	// without a lock held, by the goroutine of some caller of this package. It should not
	// block; it may call the Limiter.
	OnChange func(Change)

	// OnReady, if not nil, is called without a lock held once a permit is free after one
	// was refused; see Limiter.Ready for the rule. It must not block; it may call the
	// Limiter, and several calls of it may run at once.
	OnReady func()
}

const (
	defaultInitial   = 10
	defaultMax       = 1000
	defaultMaxAIMD   = 100
	defaultMaxRTT    = 200 // of Vegas and Gradient
	defaultSuccesses = 20
	defaultBackoff   = 0.5
	defaultWaiters   = 10_000

	mostLimit   = 1_000_000
	mostWaiters = 1_000_000
)

// withDefaults returns c with its zero fields filled in, and all that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.Algorithm == "" {
		c.Algorithm = Adaptive
	}
	if !slices.Contains(algorithms, c.Algorithm) {
		return c, fmt.Errorf("Config.Algorithm is %q: must be one of %s", string(c.Algorithm), algorithmNames())
	}
	err := errors.Join(c.checkBounds(), c.checkOwn())
	c.Min = or(c.Min, 1)
	c.Max = or(c.Max, max(c.Min, c.Algorithm.defaultMax()))
	c.Initial = or(c.Initial, min(max(defaultInitial, c.Min), c.Max))
	if c.Algorithm == Fixed {
		c.Initial = c.Max
	}
	c.Successes = or(c.Successes, defaultSuccesses)
	c.Backoff = or(c.Backoff, defaultBackoff)
	c.Waiters = or(c.Waiters, defaultWaiters)
	return c, err
}

// checkBounds looks at what every algorithm has.
func (c Config) checkBounds() error {
	err := errors.Join(
		between("Config.Min", c.Min, 0, mostLimit),
		between("Config.Max", c.Max, 0, mostLimit),
		between("Config.Initial", c.Initial, 0, mostLimit),
		between("Config.Waiters", c.Waiters, 0, mostWaiters),
	)
	if c.Brake < 0 {
		err = errors.Join(err, fmt.Errorf("Config.Brake is %v: must be at least 0", c.Brake))
	}
	if err != nil {
		return err
	}
	least, most := or(c.Min, 1), c.Max
	if most != 0 && least > most {
		err = errors.Join(err, fmt.Errorf("Config.Min is %d: must be at most Max, which is %d", least, most))
	}
	if c.Initial != 0 && c.Initial < least {
		err = errors.Join(err, fmt.Errorf("Config.Initial is %d: must be at least Min, which is %d", c.Initial, least))
	}
	if most = or(most, max(least, c.Algorithm.defaultMax())); c.Initial > most && c.Algorithm != Fixed {
		err = errors.Join(err, fmt.Errorf("Config.Initial is %d: must be at most Max, which is %d", c.Initial, most))
	}
	return err
}

// checkOwn looks at what only some algorithms have. What an algorithm would ignore is a
// mistake too: somebody expects an effect of it.
func (c Config) checkOwn() error {
	var err error
	wrong := func(format string, args ...any) { err = errors.Join(err, fmt.Errorf(format, args...)) }
	a := c.Algorithm
	if a == SLO && c.Target <= 0 {
		wrong("Config.Target is %v: must be above 0 for %s", c.Target, a)
	}
	if a != SLO && c.Target != 0 {
		wrong("Config.Target is %v: must be 0 for %s, it is for %s", c.Target, a, SLO)
	}
	if a == Fixed && c.Max == 0 {
		wrong("Config.Max is 0: must be at least 1 for %s, it is the limit", a)
	}
	if a == Fixed && c.Initial != 0 {
		wrong("Config.Initial is %d: must be 0 for %s, the limit is Max", c.Initial, a)
	}
	if a != AIMD && c.Successes != 0 {
		wrong("Config.Successes is %d: must be 0 for %s, it is for %s", c.Successes, a, AIMD)
	}
	if a != AIMD && c.Backoff != 0 {
		wrong("Config.Backoff is %v: must be 0 for %s, it is for %s", c.Backoff, a, AIMD)
	}
	if a == AIMD && c.Successes < 0 {
		wrong("Config.Successes is %d: must be at least 1", c.Successes)
	}
	if a == AIMD && c.Backoff != 0 && !(c.Backoff > 0 && c.Backoff < 1) { // NaN is neither
		wrong("Config.Backoff is %v: must be above 0 and below 1", c.Backoff)
	}
	return err
}

func (a Algorithm) defaultMax() int {
	switch a {
	case AIMD:
		return defaultMaxAIMD
	case Vegas, Gradient:
		return defaultMaxRTT
	}
	return defaultMax
}

func algorithmNames() string {
	names := make([]string, len(algorithms))
	for i, a := range algorithms {
		names[i] = string(a)
	}
	return strings.Join(names, ", ")
}

func between(field string, n, least, most int) error {
	if n < least || n > most {
		return fmt.Errorf("%s is %d: must be from %d to %d", field, n, least, most)
	}
	return nil
}

// or is n, or def if n is zero.
func or[N int | float64 | time.Duration](n, def N) N {
	if n == 0 {
		return def
	}
	return n
}
