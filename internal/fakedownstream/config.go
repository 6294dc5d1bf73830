package fakedownstream

import (
	"errors"
	"fmt"
	"time"
)

// Config says what a Downstream can do. The zero value is usable: 240 calls a second.
type Config struct {
	Workers int           // calls that are served at once; default 12, at most 65,536
	Service time.Duration // mean service time; default 50 ms, at least 1 µs, at most 1 h
	Shape   int           // k of its Erlang distribution: 1 is exponential, more is less spread; default 4, at most 1000
	Queue   int           // calls that wait for a worker at most; default 1024, at most 1,048,576
	Thrash  float64       // how much slower it is per Workers that wait, see the package; 0 to 100, default 0
	Seed    uint64        // of the service times

	Deadline   time.Duration // an answer within it is good; default 500 ms, at most 1 h
	RetryAfter time.Duration // of its 429, sent in whole seconds, rounded up; default 1 s, at most 1 h
}

const (
	defaultWorkers    = 12
	defaultService    = 50 * time.Millisecond
	defaultShape      = 4
	defaultQueue      = 1024
	defaultDeadline   = 500 * time.Millisecond
	defaultRetryAfter = time.Second

	maxWorkers = 1 << 16
	maxQueue   = 1 << 20
	maxShape   = 1000
	maxThrash  = 100
	maxTime    = time.Hour
)

// withDefaults returns c with its zero fields filled in, and all that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	c.Workers = orDefault(c.Workers, defaultWorkers)
	c.Service = orDefault(c.Service, defaultService)
	c.Shape = orDefault(c.Shape, defaultShape)
	c.Queue = orDefault(c.Queue, defaultQueue)
	c.Deadline = orDefault(c.Deadline, defaultDeadline)
	c.RetryAfter = orDefault(c.RetryAfter, defaultRetryAfter)
	return c, errors.Join(
		within("Config.Workers", c.Workers, 1, maxWorkers),
		within("Config.Service", c.Service, time.Microsecond, maxTime),
		within("Config.Shape", c.Shape, 1, maxShape),
		within("Config.Queue", c.Queue, 1, maxQueue),
		within("Config.Thrash", c.Thrash, 0, maxThrash),
		within("Config.Deadline", c.Deadline, time.Microsecond, maxTime),
		within("Config.RetryAfter", c.RetryAfter, time.Microsecond, maxTime),
	)
}

func within[N int | float64 | time.Duration](field string, n, least, most N) error {
	if n >= least && n <= most { // not so of NaN
		return nil
	}
	return fmt.Errorf("%s is %v: must be from %v to %v", field, n, least, most)
}

func orDefault[N int | time.Duration](n, def N) N {
	if n == 0 {
		return def
	}
	return n
}
