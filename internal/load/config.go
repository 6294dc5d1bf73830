package load

import (
	"errors"
	"fmt"
	"time"
)

// Config says what load to make. Stages is required; every other field has a default.
type Config struct {
	Stages   []Stage  // one after the other
	Arrivals Arrivals // default Constant
	Seed     uint64   // of the schedule; the same seed, the same schedule
	Tenants  Tenants  // default one without a name

	// MaxInFlight bounds how many requests are sent and not done; default 4096. What is due
	// meanwhile waits, and its latency counts from when it was due.
	MaxInFlight int

	// Timeout is when a request that was sent counts as failed; default 10 s. Its latency is
	// recorded with the time it has waited until then.
	Timeout time.Duration

	// MaxDelay is how late a request may be sent; default Timeout. Later it is dropped.
	MaxDelay time.Duration

	// OnProgress, if not nil, is called each Every, and never by two goroutines at once. Run
	// does not return while it runs; requests are sent on.
	OnProgress func(Progress)
	Every      time.Duration // default 1 s
}

const (
	defaultInFlight = 4096
	defaultTimeout  = 10 * time.Second
	defaultEvery    = time.Second

	maxInFlight = 1 << 20
	maxTimeout  = time.Hour
)

// withDefaults returns c with its zero fields filled in, and all that is wrong with it
// beside the schedule.
func (c Config) withDefaults() (Config, error) {
	c.MaxInFlight = orDefault(c.MaxInFlight, defaultInFlight)
	c.Timeout = orDefault(c.Timeout, defaultTimeout)
	c.MaxDelay = orDefault(c.MaxDelay, c.Timeout)
	c.Every = orDefault(c.Every, defaultEvery)
	return c, errors.Join(
		within("Config.MaxInFlight", c.MaxInFlight, 1, maxInFlight),
		within("Config.Timeout", c.Timeout, time.Millisecond, maxTimeout),
		within("Config.MaxDelay", c.MaxDelay, time.Millisecond, maxTimeout),
		within("Config.Every", c.Every, time.Millisecond, maxTimeout),
	)
}

func within[N int | time.Duration](field string, n, least, most N) error {
	if n < least || n > most {
		return fmt.Errorf("%s is %v: must be from %v to %v", field, n, least, most)
	}
	return nil
}

func orDefault[N int | time.Duration](n, def N) N {
	if n == 0 {
		return def
	}
	return n
}
