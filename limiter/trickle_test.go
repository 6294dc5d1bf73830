package limiter_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// All calls begin to time out at once, and a breaker leaves only one now and then. What the
// last window and these few say of the limit must not outlast the failure for long.
func TestTheLimitComesBackSoonAfterAFailureBehindABreaker(t *testing.T) {
	for _, gap := range []time.Duration{time.Second, 3 * time.Second} {
		for good := range 14 { // the failure begins anywhere in a window
			t.Run(fmt.Sprintf("%d rounds, then a call each %v", good, gap), func(t *testing.T) {
				b := newBench(t, limiter.Config{Max: 13})
				b.full(1000, 40*time.Millisecond, limiter.Success)
				for range good {
					b.round(5, 40*time.Millisecond, limiter.Success)
				}
				b.full(1, 500*time.Millisecond, limiter.Drop)
				for begin := b.now; b.now.Sub(begin) < 7*time.Second; b.now = b.now.Add(gap) {
					b.round(1, 500*time.Millisecond, limiter.Drop)
				}
				begin, least := b.now, b.l.Limit()
				for b.l.Limit() < 12 && b.now.Sub(begin) < time.Minute {
					b.full(1, 40*time.Millisecond, limiter.Success)
				}
				if took := b.now.Sub(begin); took > 10*time.Second {
					t.Errorf("from %d it took %v to go back to 12, want 10 s at most", least, took)
				}
			})
		}
	}
}
