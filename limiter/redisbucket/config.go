package redisbucket

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/spillwaymq/spillway/limiter"
)

// OnError says what decides while Redis does not answer.
type OnError string

// The ways to go on without Redis.
const (
	Local  OnError = "local"  // this process admits its share: the rate divided by the live processes
	Open   OnError = "open"   // everything is admitted
	Closed OnError = "closed" // nothing is admitted, once what was leased has ended
)

// Config says what a Limiter admits and how it talks to Redis. Only Rate has no default.
type Config struct {
	// Rate is that of every key, as far as RateFor and Limiter.Bucket say nothing else.
	Rate limiter.Rate

	// RateFor, if not nil, returns the rate of one key. It is called without a lock held when
	// a key is first seen, and again after it was forgotten and at Refresh, perhaps by several
	// goroutines at once. A rate that is invalid is the error of whoever asked.
	RateFor func(key string) limiter.Rate

	// Prefix begins the names of all keys in Redis. Limiters with the same prefix share their
	// buckets and count as processes of one fleet. At most 128 bytes without braces and
	// spaces; default "spillway:rate".
	Prefix string

	// Lease is how far a rate may be exceeded for the sake of speed, as a time L: in any time
	// T all processes together admit at most burst + rate·(T+L). Tokens that were taken from
	// Redis and not used after half of it are lost. 20 ms to 10 s, default 200 ms.
	Lease time.Duration

	// Timeout is how long Redis may take to answer, and the most that Allow waits for it; at
	// least 1 ms and at most a quarter of Lease, default 50 ms, or that quarter if it is less.
	Timeout time.Duration

	OnError OnError // what decides while Redis does not answer; default Local

	// Processes is how many share the rates at least, as long as they were not counted in Redis
	// a few times; 1 to 100,000, default 1.
	Processes int

	// Heartbeat is how often this process says in Redis that it lives; 100 ms to 1 min, default
	// 2 s. One that says nothing for three times as long is not counted any more.
	Heartbeat time.Duration

	MaxKeys int           // most keys remembered in this process; 1 to 10,000,000, default 65,536
	Forget  time.Duration // how long a key is remembered that nobody asks for; at least Lease, default 1 min

	// OnDegraded, if not nil, is called with true when the first decision is left to OnError,
	// and with false when Redis decides for all keys again. It is called without a lock held,
	// one call at a time, in order, by a goroutine that may be a caller's; it must not block.
	// It may call the Limiter, except Close.
	OnDegraded func(degraded bool)
}

const (
	defaultPrefix    = "spillway:rate"
	defaultLease     = 200 * time.Millisecond
	defaultTimeout   = 50 * time.Millisecond
	defaultHeartbeat = 2 * time.Second
	defaultMaxKeys   = 1 << 16
	defaultForget    = time.Minute

	minLease, maxLease         = 20 * time.Millisecond, 10 * time.Second
	minTimeout                 = time.Millisecond
	minHeartbeat, maxHeartbeat = 100 * time.Millisecond, time.Minute
	maxForget                  = 366 * 24 * time.Hour
	maxProcesses               = 100_000
	maxMaxKeys                 = 10_000_000
	maxPrefix                  = 128
	maxKey                     = 512 // bytes of a key
)

// WithDefaults returns a copy of c in which no field is left to its default.
func (c Config) WithDefaults() Config {
	c, _ = c.withDefaults()
	return c
}

// Validate returns all that is wrong with c, as New would.
func (c Config) Validate() error {
	_, err := c.withDefaults()
	return err
}

// withDefaults returns c with its zero fields filled in, and all that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	c.Prefix = orDefault(c.Prefix, defaultPrefix)
	c.Lease = orDefault(c.Lease, defaultLease)
	c.Timeout = orDefault(c.Timeout, max(minTimeout, min(defaultTimeout, c.Lease/4)))
	c.OnError = orDefault(c.OnError, Local)
	c.Processes = orDefault(c.Processes, 1)
	c.Heartbeat = orDefault(c.Heartbeat, defaultHeartbeat)
	c.MaxKeys = orDefault(c.MaxKeys, defaultMaxKeys)
	c.Forget = orDefault(c.Forget, max(defaultForget, c.Lease))
	err := errors.Join(
		within("Config.Lease", c.Lease, minLease, maxLease),
		within("Config.Processes", c.Processes, 1, maxProcesses),
		within("Config.Heartbeat", c.Heartbeat, minHeartbeat, maxHeartbeat),
		within("Config.MaxKeys", c.MaxKeys, 1, maxMaxKeys),
	)
	if c.Lease >= minLease && c.Lease <= maxLease {
		err = errors.Join(err,
			within("Config.Timeout", c.Timeout, minTimeout, c.Lease/4),
			within("Config.Forget", c.Forget, c.Lease, maxForget))
	}
	if len(c.Prefix) > maxPrefix || strings.ContainsAny(c.Prefix, "{} \t\r\n") {
		err = errors.Join(err, fmt.Errorf("Config.Prefix is %.64q: must be at most %d bytes without braces and spaces", c.Prefix, maxPrefix))
	}
	switch c.OnError {
	case Local, Open, Closed:
	default:
		err = errors.Join(err, fmt.Errorf("Config.OnError is %.64q: must be %s, %s or %s", string(c.OnError), Local, Open, Closed))
	}
	if _, rerr := newTerms(c.Rate, c.Lease); rerr != nil {
		err = errors.Join(err, fmt.Errorf("Config.Rate: %w", rerr))
	}
	return c, err
}

func within[N int | time.Duration](field string, n, least, most N) error {
	if n < least || n > most {
		return fmt.Errorf("%s is %v: must be from %v to %v", field, n, least, most)
	}
	return nil
}

func orDefault[N comparable](n, def N) N {
	var zero N
	if n == zero {
		return def
	}
	return n
}

// heedsContexts refuses clients whose calls go on when their contexts have ended: with a
// Redis that stalls they would hold up everything for seconds.
func heedsContexts(client redis.UniversalClient) error {
	heeds := true
	switch c := client.(type) {
	case nil:
		return errors.New("the client is nil: must be one of go-redis, see Dial")
	case *redis.Client:
		heeds = c.Options().ContextTimeoutEnabled
	case *redis.ClusterClient:
		heeds = c.Options().ContextTimeoutEnabled
	case *redis.Ring:
		heeds = c.Options().ContextTimeoutEnabled
	}
	if !heeds {
		return errors.New("the client's option ContextTimeoutEnabled is false: must be true, for Config.Timeout to hold")
	}
	return nil
}
