package breaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Breaker is a circuit breaker. Most callers want Do. All methods are safe for concurrent
// use, and none blocks, but for what OnStateChange does.
type Breaker struct {
	origin time.Time             // of the clock, whose times are nanoseconds since then
	phase  atomic.Pointer[phase] // written with mu held
	tally  atomic.Pointer[tally] // written with mu held; nil, if all results need mu

	// Allow reads what is above on all processors, Record writes what is below: on lines of
	// their own the first stays in every cache.
	_       [128]byte
	refused atomic.Uint64

	// mu guards all that follows. It is held for arithmetic only, never while a callback
	// runs. Whoever changes the state says so with unlock.
	mu       sync.Mutex
	clock    steady
	window   window
	openings int // in a row, without closing between
	probes   probes
	told     []told // transitions that nobody has been told of
	telling  bool   // somebody is at it
}

// New returns a closed breaker, or all that is wrong with c.
func New(c Config) (*Breaker, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("breaker: New: %w", err)
	}
	b := &Breaker{origin: time.Now(), clock: newSteady(), window: c.window()}
	b.phase.Store(&phase{set: c.settings(), generation: 1})
	return b, nil
}

// Allow returns the permit for a call, whose Record must be called when it has ended, or
// an *OpenError. That error may be shared with other callers, who do not expect it to
// change.
func (b *Breaker) Allow() (Permit, error) {
	ph := b.phase.Load()
	if ph.state != Closed {
		return b.admit(b.now())
	}
	start := int64(unread)
	if ph.set.SlowCall > 0 {
		start = b.now()
	}
	return b.permit(ph.generation, start, 0), nil
}

// AllowAt is Allow at now.
func (b *Breaker) AllowAt(now time.Time) (Permit, error) {
	t, ph := b.nanos(now), b.phase.Load()
	if ph.state != Closed {
		return b.admit(t)
	}
	return b.permit(ph.generation, t, 0), nil
}

// Do calls f if the breaker admits it, and records the result: its error as Config.Classify
// says, a panic as a Failure, and any error as Ignored if ctx was cancelled by then. It
// returns the error of f, an *OpenError if f was not called, and the error of ctx, without
// calling f, if that has ended. A ctx that ends by its deadline is no excuse for the
// downstream: that is a Failure.
func (b *Breaker) Do(ctx context.Context, f func(context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	p, err := b.Allow()
	if err != nil {
		return err
	}
	r := Failure // of a panic
	defer func() { p.Record(r) }()
	err = f(ctx)
	r = b.classify(ctx, err)
	return err
}

func (b *Breaker) classify(ctx context.Context, err error) Result {
	if err == nil {
		return Success
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return Ignored
	}
	if classify := b.phase.Load().set.Classify; classify != nil {
		return classify(err)
	}
	return Failure
}

// Ready reports whether Allow would admit a call at now, without admitting any and without
// a change of state. If not, until is when to ask again; see OpenError.Until.
func (b *Breaker) Ready(now time.Time) (ok bool, until time.Time) {
	if b.phase.Load().state == Closed {
		return true, time.Time{}
	}
	b.mu.Lock()
	defer b.unlock()
	t := b.tick(b.nanos(now))
	switch ph := b.phase.Load(); ph.state {
	case Open:
		if t < ph.until {
			return false, b.time(ph.until)
		}
	case HalfOpen:
		if b.probes.free(t, ph.set.Probes) == 0 {
			return false, b.time(b.probes.deadline(t))
		}
	case Closed:
	}
	return true, time.Time{}
}

// State returns the state that the breaker is in. Open, it stays so beyond its time until
// somebody asks to be admitted.
func (b *Breaker) State() State { return b.phase.Load().state }

// Trip opens the breaker as if too many calls had failed. Open, it changes nothing.
func (b *Breaker) Trip() {
	now := b.now()
	b.mu.Lock()
	defer b.unlock()
	if t := b.tick(now); b.phase.Load().state != Open {
		b.open(t, Manual, counts{})
	}
}

// Reset closes the breaker, and forgets all that it has counted. Closed, it only forgets;
// results of calls that were admitted before count for nothing.
func (b *Breaker) Reset() {
	now := b.now()
	b.mu.Lock()
	defer b.unlock()
	b.close(b.tick(now), Manual)
}

// Reconfigure replaces the Config, or returns all that is wrong with c and changes
// nothing. The state remains, and so do the time until which it is open and what was
// counted, unless Window or Calls has changed, which starts an empty window.
func (b *Breaker) Reconfigure(c Config) error {
	c, err := c.withDefaults()
	if err != nil {
		return fmt.Errorf("breaker: Reconfigure: %w", err)
	}
	now := b.now()
	b.mu.Lock()
	defer b.unlock()
	b.seal()
	ph := *b.phase.Load()
	if c.Window != ph.set.Window || c.Calls != ph.set.Calls {
		b.window = c.window()
	}
	ph.set = c.settings()
	b.phase.Store(&ph)
	if ph.state == HalfOpen && b.probes.succeeded >= c.Probes {
		b.close(b.tick(now), ProbesSucceeded)
	}
	return nil
}

// unread is the time of whoever has not looked at a clock.
const unread = math.MinInt64

// now returns the time of the breaker's clock. Since reads one clock of the system where
// Now reads two.
func (b *Breaker) now() int64 { return int64(time.Since(b.origin)) }

// nanos is now for times that are brought along.
func (b *Breaker) nanos(now time.Time) int64 {
	return min(max(int64(now.Sub(b.origin)), -farAway), farAway)
}

func (b *Breaker) time(t int64) time.Time { return b.origin.Add(time.Duration(t)) }
