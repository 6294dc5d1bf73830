package consumer

import (
	"sync"
	"time"
)

// alarms are the timers of a Consumer. Each ends with Run at the latest.
//
// mu guards the fields below it. It is not held while an alarm goes off.
type alarms struct {
	ringing sync.WaitGroup // set, and not over

	mu      sync.Mutex
	set     map[*time.Timer]struct{}
	stopped bool
}

// after calls f in a goroutine of its own when d has passed, unless Run ends before. f
// must not block.
func (a *alarms) after(d time.Duration, f func()) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.stopped {
		return
	}
	if a.set == nil {
		a.set = make(map[*time.Timer]struct{})
	}
	a.ringing.Add(1)
	var t *time.Timer
	t = time.AfterFunc(d, func() {
		defer a.ringing.Done()
		a.mu.Lock() // t is set by then
		delete(a.set, t)
		a.mu.Unlock()
		f()
	})
	a.set[t] = struct{}{}
}

// stop stops all alarms, for good, and waits for those that are going off.
func (a *alarms) stop() {
	a.mu.Lock()
	a.stopped = true
	for t := range a.set {
		if t.Stop() {
			a.ringing.Done()
		}
	}
	clear(a.set)
	a.mu.Unlock()
	a.ringing.Wait()
}
