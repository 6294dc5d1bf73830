package load

import (
	"context"
	"time"
)

// The longest that the pacer sleeps in the kernel, and so how late it hears of the end of
// a run; and the shortest, which bounds how often it wakes.
const (
	longestNap  = 2 * time.Millisecond
	shortestNap = 50 * time.Microsecond
)

// A pacer waits for moments precisely. It is for one goroutine.
type pacer struct {
	// virtual says that the clock stands still while the kernel sleeps, as it does in a
	// synctest bubble, where timers are exact.
	virtual bool
}

// until returns true at t or soon after, and false when ctx ends before t.
func (p *pacer) until(ctx context.Context, t time.Time) bool {
	for {
		d := time.Until(t)
		switch {
		case d <= 0:
			return true
		case ctx.Err() != nil:
			return false
		case p.virtual:
			return sleep(ctx, d)
		case d > longestNap:
			if !sleep(ctx, d-longestNap/2) { // a timer is up to a millisecond late
				return false
			}
		default:
			before := time.Now()
			nap(max(d, shortestNap))
			p.virtual = time.Now().Equal(before)
		}
	}
}

// sleep returns false if ctx ended it.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
