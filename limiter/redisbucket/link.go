package redisbucket

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

// A link is what is known about the way to Redis: it is degraded while the breaker is not
// closed, or the answer for some key was missing.
type link struct {
	breaker  *breaker.Breaker
	now      func() int64
	callback func(bool)
	kick     chan struct{} // wakes the keeper
	up       atomic.Bool   // the breaker is closed
	untold   atomic.Bool   // degraded may not be what was told

	// mu guards what follows. It is held for arithmetic. The lock of an entry may be held
	// when it is taken, never the other way round.
	mu      sync.Mutex
	since   int64 // when up ended
	alone   int   // keys
	told    bool
	telling bool
	changed time.Time // when told last changed
	err     error     // the last
}

func newLink(l *Limiter) (*link, error) {
	k := &link{now: l.clock, callback: l.cfg.OnDegraded, kick: make(chan struct{}, 1)}
	k.up.Store(true)
	b, err := breaker.New(breaker.Config{
		Calls: 8, MinCalls: 3, FailureRatio: 0.5,
		Open: 200 * time.Millisecond, MaxOpen: time.Second,
		Probes: 1, ProbeTimeout: 2 * l.cfg.Timeout,
		OnStateChange: func(t breaker.Transition) { k.turn(t.To) },
	})
	k.breaker = b
	return k, err
}

// turn is told by the breaker.
func (k *link) turn(to breaker.State) {
	k.mu.Lock()
	if k.up.Load() {
		k.since = k.now()
	}
	k.up.Store(to == breaker.Closed)
	k.untold.Store(true)
	k.mu.Unlock()
	k.wake()
	k.tell()
}

func (k *link) isUp() bool { return k.up.Load() }

// downSince returns when the link went down, or else if it is up.
func (k *link) downSince(otherwise int64) int64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.up.Load() {
		return otherwise
	}
	return k.since
}

func (k *link) failed(err error) {
	k.mu.Lock()
	k.err = err
	k.mu.Unlock()
}

// leave says that a key is decided without Redis from now on.
func (k *link) leave() {
	k.mu.Lock()
	k.alone++
	k.untold.Store(true)
	k.mu.Unlock()
	k.wake()
}

// back says that it is not any more.
func (k *link) back() {
	k.mu.Lock()
	k.alone--
	k.untold.Store(true)
	k.mu.Unlock()
}

func (k *link) wake() {
	select {
	case k.kick <- struct{}{}:
	default:
	}
}

// degraded requires mu.
func (k *link) degraded() bool { return !k.up.Load() || k.alone > 0 }

// tell calls the callback if what it was told is not so any more. It requires that no lock
// is held.
func (k *link) tell() {
	if !k.untold.Load() {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.telling {
		return // whoever does looks again
	}
	k.telling = true
	defer func() { k.telling = false }() // even if the callback panics
	for k.untold.Swap(false) {
		if now := k.degraded(); now != k.told {
			k.told, k.changed = now, time.Now()
			k.call(now)
		}
	}
}

// call requires mu, which it gives up meanwhile.
func (k *link) call(degraded bool) {
	k.mu.Unlock()
	defer k.mu.Lock()
	if k.callback != nil {
		k.callback(degraded)
	}
}

func (k *link) stats() Stats {
	k.mu.Lock()
	defer k.mu.Unlock()
	return Stats{Degraded: k.degraded(), Since: k.changed, Cause: k.err, Alone: k.alone}
}
