package consumer

import (
	"sync"
	"sync/atomic"
	"time"
)

// The backoff after overload answers.
const (
	overloadMin = 100 * time.Millisecond // of one message, and of a downstream's first rest
	overloadMax = 30 * time.Second
	restAfter   = 5 // overload answers without a success between them
)

// A rest lets a downstream that answers nothing but overload alone for a while: nothing is
// started for it, longer each time, until a success.
type rest struct {
	streak atomic.Int64 // overload answers since the last success
	born   time.Time
	ends   atomic.Int64 // until, ns since born: for who starts a run

	mu    sync.Mutex // guards the rest
	times int        // rests since the last success
	until time.Time  // end of the present or the last one
}

func (r *rest) success() {
	if r.streak.Load() == 0 {
		return
	}
	r.streak.Store(0)
	r.mu.Lock()
	r.times = 0
	r.mu.Unlock()
}

// overloaded takes in an overload answer, and returns how long a rest that begins with it
// is; 0: none does.
func (r *rest) overloaded(now time.Time) time.Duration {
	if r.streak.Add(1) < restAfter {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(r.until) {
		return 0
	}
	length := growing(overloadMin, overloadMax, r.times)
	r.times++
	r.until = now.Add(length)
	r.ends.Store(int64(r.until.Sub(r.born)))
	return length
}

// resting reports whether nothing may be started now. The gate says the same to the
// scheduler, a moment later: a downstream that answers at once could take a whole queue
// in that moment.
func (r *rest) resting(now time.Time) bool { return int64(now.Sub(r.born)) < r.ends.Load() }

// end returns when the present rest ends, or the last one did.
func (r *rest) end() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.until
}
