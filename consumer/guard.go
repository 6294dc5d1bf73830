package consumer

import (
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

// downstreamState is what is counted and known of one downstream, and what guards it.
type downstreamState struct {
	name      string
	settled   counters[Outcome]
	overloads counter

	guards atomic.Pointer[guards] // replaced by Reload alone
	born   time.Time
	denied atomic.Int64 // when the rate last refused what it had promised, ns since born; 0: never
	rest   rest
	gate   gate
}

// downstreams are all that the routes name; fixed by New.
type downstreams []*downstreamState

// newDownstreams makes the state of what the routes of m name.
func (c *Consumer) newDownstreams() (downstreams, error) {
	l := c.live.Load()
	var ds downstreams
	for _, name := range slices.Sorted(maps.Keys(l.Downstreams)) {
		s := &downstreamState{name: name, settled: newCounters(outcomes), born: time.Now()}
		s.gate.c, s.gate.d, s.rest.born = c, s, s.born
		s.guards.Store(new(guards))
		ds = append(ds, s)
	}
	changes, err := ds.plan(l, nil)
	if err != nil {
		return nil, err
	}
	changes.make()
	return ds, nil
}

// turned is told by a breaker that its state has changed. One that is not in use any more,
// or not yet, says nothing of s.
func (s *downstreamState) turned(b *breaker.Breaker, t breaker.Transition) {
	if s.guards.Load().breaker != b {
		return
	}
	s.gate.review()
	c := s.gate.c
	e := BreakerTurned{
		Downstream: s.name, From: BreakerState(t.From.String()), To: BreakerState(t.To.String()),
		Why: string(t.Why), Until: t.Until,
	}
	switch t.To {
	case breaker.Open:
		c.log.Warn("the breaker of a downstream is open: its messages wait", "downstream", s.name, "why", e.Why, "for", t.Until.Sub(t.At))
	case breaker.Closed:
		c.log.Info("the breaker of a downstream is closed again", "downstream", s.name)
	case breaker.HalfOpen:
	}
	c.observers.breakerTurned(e)
}

// overloaded takes in an overload answer.
func (s *downstreamState) overloaded(now time.Time) {
	s.overloads.Add(1)
	if length := s.rest.overloaded(now); length > 0 {
		s.gate.review()
		s.gate.c.log.Info("a downstream answers nothing but overload and rests", "downstream", s.name, "for", length)
	}
}

func (ds downstreams) get(name string) *downstreamState {
	for _, s := range ds {
		if s.name == name {
			return s
		}
	}
	return nil
}

// review makes the scheduler begin with what is so.
func (ds downstreams) review() {
	for _, s := range ds {
		s.gate.review()
	}
}
