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

// downstreamState is what is counted and known of one downstream.
type downstreamState struct {
	name      string
	settled   counters[Outcome]
	overloads counter
	streak    atomic.Int64 // overload answers since the last success
	rests     int          // rests since the last success; guarded by rests.mu
	until     time.Time    // end of the present rest; guarded by rests.mu
}

// downstreams are all downstreams that a message named so far, which the routes
// bound.
type downstreams struct {
	mu     sync.RWMutex
	byName map[string]*downstreamState
}

func (ds *downstreams) get(name string) *downstreamState {
	ds.mu.RLock()
	s := ds.byName[name]
	ds.mu.RUnlock()
	if s != nil {
		return s
	}
	ds.mu.Lock()
	defer ds.mu.Unlock()
	if ds.byName == nil {
		ds.byName = make(map[string]*downstreamState)
	}
	if s = ds.byName[name]; s == nil {
		s = &downstreamState{name: name, settled: newCounters(outcomes)}
		ds.byName[name] = s
	}
	return s
}

func (ds *downstreams) all() []*downstreamState {
	ds.mu.RLock()
	defer ds.mu.RUnlock()
	all := make([]*downstreamState, 0, len(ds.byName))
	for _, s := range ds.byName {
		all = append(all, s)
	}
	return all
}

// rests let a downstream that answers nothing but overload alone for a while:
// nothing is started for it, longer each time, until a success.
type rests struct{ mu sync.Mutex }

func (r *rests) success(s *downstreamState) {
	if s.streak.Load() == 0 {
		return
	}
	s.streak.Store(0)
	r.mu.Lock()
	s.rests = 0
	r.mu.Unlock()
}

func (r *rests) overloaded(c *Consumer, s *downstreamState, now time.Time) {
	if s.streak.Add(1) < restAfter {
		return
	}
	r.mu.Lock()
	if now.Before(s.until) {
		r.mu.Unlock()
		return
	}
	rest := growing(overloadMin, overloadMax, s.rests)
	s.rests++
	s.until = now.Add(rest)
	r.mu.Unlock()
	c.queues.SetOpen(s.name, false)
	c.alarms.after(rest, func() { c.queues.SetOpen(s.name, true) })
	c.log.Info("a downstream answers nothing but overload and rests", "downstream", s.name, "for", rest)
}

// until returns when the present rest of s ends, or the zero time.
func (r *rests) until(s *downstreamState, now time.Time) time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now.Before(s.until) {
		return s.until
	}
	return time.Time{}
}
