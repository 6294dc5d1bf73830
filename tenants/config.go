package tenants

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Config says how much Queues may hold and how tenants are treated. The zero value is
// usable: every field has a default.
type Config struct {
	Messages int   // most items queued over all tenants; default 4096
	Bytes    int64 // most bytes queued over all tenants; default 64 MiB

	// Soft bounds what waits, by time, beyond the marks of each queue. Default: not at all.
	Soft Soft

	// Default is the policy of every tenant, as far as PolicyFor does not change it.
	Default Policy

	// PolicyFor, if not nil, changes the policy of one tenant; p holds Default when it is
	// called. It is called without a lock held, when a tenant is first seen and again at
	// Reconfigure, perhaps by several goroutines at once, and it may block: only that one
	// Push waits. A Push whose PolicyFor leaves an invalid policy returns that error.
	PolicyFor func(tenant string, p *Policy)

	// Cost is the service time assumed of a tenant that was never measured; default 1 ms.
	Cost time.Duration

	// Forget is how long a tenant with nothing queued or running is remembered, its
	// counters and its measured service time with it; default 1 minute. A tenant in debt
	// is remembered until virtual time has caught up with it, and one with a Rate until
	// its bucket is full.
	Forget time.Duration

	// OnRelief, if not nil, is called without a lock held after Holding has turned false,
	// and after a queue that shed or held has come down to its low mark. It must not block: the
	// goroutine is the caller of Next, Push or whatever ended it. It may be over by the
	// time it runs.
	OnRelief func()
}

// Policy says how one tenant is treated. Bounds and marks are per queue, that is per
// tenant and class.
type Policy struct {
	Queue int   // most items in one queue; default 256, or Config.Messages if that is less
	Bytes int64 // most bytes in one queue; default Config.Bytes / 4. An empty queue takes one item of any size

	// High and Low are the watermarks, as shares of Queue and of Bytes: a queue begins to
	// shed when either is at or above High, and ends when both are at or below Low. Both
	// zero is 1 and 1: a plain bounded queue. Low 0 with a High is: not before it is empty.
	High, Low float64

	Weight      float64 // share of worker-time, relative to other tenants; 0.001 to 1000, default 1
	MaxInFlight int     // most items running at once; 0: no bound
	Rate        Rate    // how many items may start in a time; zero: no bound

	// SharedRate says that Rate holds beyond these Queues, and that its tokens are counted
	// elsewhere: whoever has a Job asks there, by Job.SharedRate, and puts the item back with
	// ReturnUntil if there is none. It must not be without Rate.
	SharedRate bool

	// Hold makes a queue at its high mark accept what still comes, up to the total bounds,
	// and report Holding until it is at its low mark, instead of shedding.
	Hold bool

	// HoldWithin does as Hold, but never beyond Queue, and only if the queue, at the pace it
	// departs, would empty from its high mark within this time. A queue that holds and is not
	// at its low mark after four times as long sheds. Zero is never. Hold takes precedence.
	HoldWithin time.Duration

	Paused bool // nothing of this tenant is scheduled; Push still queues
}

const (
	defaultMessages = 4096
	defaultBytes    = 64 << 20
	defaultQueue    = 256
	defaultCost     = time.Millisecond
	defaultForget   = time.Minute

	minWeight = 0.001
	maxWeight = 1000
)

// withDefaults returns c with its zero fields filled in, and all that is wrong with it.
func (c Config) withDefaults() (Config, error) {
	err := errors.Join(
		atLeastZero("Config.Messages", int64(c.Messages)),
		atLeastZero("Config.Bytes", c.Bytes),
		atLeastZero("Config.Cost", c.Cost),
		atLeastZero("Config.Forget", c.Forget),
	)
	c.Messages = orDefault(c.Messages, defaultMessages)
	c.Bytes = orDefault(c.Bytes, defaultBytes)
	c.Cost = orDefault(c.Cost, defaultCost)
	c.Forget = orDefault(c.Forget, defaultForget)
	var serr error
	c.Soft, serr = c.Soft.withDefaults(c.Messages, c.Bytes)
	err = errors.Join(err, serr)
	p, perr := c.Default.withDefaults(c.Messages, c.Bytes)
	if perr != nil {
		perr = fmt.Errorf("Config.Default: %w", perr)
	}
	c.Default = p
	return c, errors.Join(err, perr)
}

// withDefaults returns p with its zero fields filled in, and all that is wrong with it.
func (p Policy) withDefaults(messages int, bytes int64) (Policy, error) {
	err := errors.Join(
		atLeastZero("Policy.Queue", int64(p.Queue)),
		atLeastZero("Policy.Bytes", p.Bytes),
		atLeastZero("Policy.MaxInFlight", int64(p.MaxInFlight)),
		atLeastZero("Policy.HoldWithin", p.HoldWithin),
	)
	if p.High == 0 && p.Low == 0 {
		p.High, p.Low = 1, 1
	}
	p.Queue = orDefault(p.Queue, min(defaultQueue, messages))
	p.Bytes = orDefault(p.Bytes, max(1, bytes/4))
	p.Weight = orDefault(p.Weight, 1)
	var rerr error
	p.Rate, rerr = p.Rate.withDefaults()
	err = errors.Join(err, rerr)
	if p.SharedRate && p.Rate == (Rate{}) {
		err = errors.Join(err, errors.New("Policy.SharedRate is true: must not be without Policy.Rate"))
	}
	if !(p.High > 0 && p.High <= 1) {
		err = errors.Join(err, fmt.Errorf("Policy.High is %v: must be above 0 and at most 1", p.High))
	}
	if !(p.Low >= 0 && p.Low <= p.High) {
		err = errors.Join(err, fmt.Errorf("Policy.Low is %v: must be at least 0 and at most High, which is %v", p.Low, p.High))
	}
	if !(p.Weight >= minWeight && p.Weight <= maxWeight) {
		err = errors.Join(err, fmt.Errorf("Policy.Weight is %v: must be from %v to %v", p.Weight, minWeight, maxWeight))
	}
	return p, err
}

func atLeastZero[N int64 | time.Duration](field string, n N) error {
	if n < 0 {
		return fmt.Errorf("%s is %v: must be at least 0", field, n)
	}
	return nil
}

func orDefault[N int | int64 | float64 | time.Duration](n, def N) N {
	if n == 0 {
		return def
	}
	return n
}

// limits are a policy worked out: marks in items and bytes instead of shares. Tenants of
// the default policy share one; they are never changed.
type limits struct {
	queue, high, low           int
	bytes, highBytes, lowBytes int64
	within                     int64 // HoldWithin, ns
	weight                     float64
	cap                        int
	policy                     Rate
	rate, burst                float64 // of policy: tokens per ns, and the most there are; 0: no rate, or a shared one
	shared, hold, paused       bool
}

// limits requires that p is valid and has its defaults.
func (p Policy) limits() *limits {
	l := &limits{
		queue: p.Queue, bytes: p.Bytes,
		high: int(max(1, math.Ceil(p.High*float64(p.Queue)))), highBytes: p.Bytes,
		within: int64(p.HoldWithin), weight: p.Weight, cap: p.MaxInFlight,
		policy: p.Rate, shared: p.SharedRate, hold: p.Hold, paused: p.Paused,
	}
	if p.Rate.Events > 0 && !p.SharedRate {
		l.rate, l.burst = p.Rate.perNano(), float64(p.Rate.Burst)
	}
	if p.High < 1 {
		l.highBytes = max(1, int64(math.Ceil(p.High*float64(p.Bytes))))
	}
	l.low = min(int(p.Low*float64(p.Queue)), l.high-1)
	l.lowBytes = l.highBytes - 1
	if p.Low < 1 {
		l.lowBytes = min(int64(p.Low*float64(p.Bytes)), l.highBytes-1)
	}
	return l
}
