package flow

import (
	"errors"
	"fmt"
	"math"
	"sync/atomic"
)

// Watermark is a switch with hysteresis: on once a depth was above the upper mark, off
// once it was below the lower one, and unmoved by all that happens between. It is safe for
// concurrent use and holds no lock.
type Watermark struct {
	c  WatermarkConfig
	on atomic.Bool
	// turns counts the transitions, both ways.
	turns atomic.Uint64
}

// WatermarkConfig says where the marks of a Watermark are. Both are needed.
type WatermarkConfig struct {
	OnAbove  int // a depth above this turns it on; at least 1
	OffBelow int // a depth below this turns it off; from 1 to OnAbove

	// OnChange, if not nil, is called after each transition, by the goroutine whose Update
	// caused it and without a lock: it may block, and use the Watermark. Transitions of
	// several goroutines may be told out of order; On has the truth.
	OnChange func(on bool)
}

// NewWatermark returns a Watermark that is off, or all that is wrong with c.
func NewWatermark(c WatermarkConfig) (*Watermark, error) {
	if err := c.validate("WatermarkConfig.OnAbove", "WatermarkConfig.OffBelow"); err != nil {
		return nil, fmt.Errorf("flow: NewWatermark: %w", err)
	}
	return &Watermark{c: c}, nil
}

// validate takes the names that the marks have for the user.
func (c WatermarkConfig) validate(on, off string) error {
	return errors.Join(
		within(on, c.OnAbove, 1, math.MaxInt-1),
		within(off, c.OffBelow, 1, max(1, c.OnAbove)),
	)
}

// Update tells the Watermark the depth there is now, and returns whether it is on.
func (w *Watermark) Update(depth int) (on bool) {
	on, turned := w.turn(depth)
	if turned {
		w.announce(on)
	}
	return on
}

// On reports whether the Watermark is on.
func (w *Watermark) On() bool { return w.on.Load() }

// Turns returns how often it has turned on or off.
func (w *Watermark) Turns() uint64 { return w.turns.Load() }

// turn is Update, up to the announcement.
func (w *Watermark) turn(depth int) (on, turned bool) {
	was := w.on.Load()
	on = w.c.next(was, depth)
	if on == was || !w.on.CompareAndSwap(was, on) { // somebody else was first: it announces
		return on, false
	}
	w.turns.Add(1)
	return on, true
}

func (w *Watermark) announce(on bool) {
	if w.c.OnChange != nil {
		w.c.OnChange(on)
	}
}

// next is the whole decision.
func (c WatermarkConfig) next(on bool, depth int) bool {
	if on {
		return depth >= c.OffBelow
	}
	return depth > c.OnAbove
}
