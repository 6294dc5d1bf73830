package limiter

import (
	"fmt"
	"sync"
)

// AIMDLimiter is the limiter of the textbooks: additive increase, multiplicative decrease,
// and nothing else. It grows whether its limit is reached or not, and cannot tell one call
// from another; Limiter with the algorithm AIMD does both, and waits. It is safe for
// concurrent use.
type AIMDLimiter struct {
	mu       sync.Mutex // guards all below
	cfg      AIMDConfig
	limit    float64
	inflight int
	good     int // successes since the limit last changed
}

// AIMDConfig says how an AIMDLimiter works. The zero value is usable.
type AIMDConfig struct {
	Initial   int     // limit to begin with; default 10, as far as Min and Max allow
	Min       int     // floor, at least 1; default 1
	Max       int     // ceiling, at most 1,000,000; default 100
	Successes int     // how many make the limit one larger; default 20
	Backoff   float64 // what a failure multiplies the limit by, above 0 and below 1; default 0.5
}

// NewAIMD returns an AIMDLimiter, or all that is wrong with c.
func NewAIMD(c AIMDConfig) (*AIMDLimiter, error) {
	full, err := Config{
		Algorithm: AIMD, Initial: c.Initial, Min: c.Min, Max: c.Max,
		Successes: c.Successes, Backoff: c.Backoff,
	}.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("limiter: NewAIMD: %w", err)
	}
	c = AIMDConfig{full.Initial, full.Min, full.Max, full.Successes, full.Backoff}
	return &AIMDLimiter{cfg: c, limit: float64(c.Initial)}, nil
}

// Acquire reports whether a call may run now. If so, Release must follow.
func (l *AIMDLimiter) Acquire() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inflight >= int(l.limit) {
		return false
	}
	l.inflight++
	return true
}

// Release ends a call that Acquire let run, and says whether it was a success. Without
// such a call it does nothing.
func (l *AIMDLimiter) Release(success bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inflight == 0 {
		return
	}
	l.inflight--
	if !success {
		l.good = 0
		l.limit = max(float64(l.cfg.Min), l.limit*l.cfg.Backoff)
		return
	}
	if l.good++; l.good >= l.cfg.Successes {
		l.good = 0
		l.limit = min(float64(l.cfg.Max), l.limit+1)
	}
}
