package consumer

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/breaker"
	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/tenants"
)

// downstreamState is what is counted and known of one downstream, and what guards it.
type downstreamState struct {
	name      string
	settled   counters[Outcome]
	overloads counter

	limiter *limiter.Limiter // nil: no limit
	breaker *breaker.Breaker // nil: none
	rate    RateLimiter      // nil: none
	rated   limiter.Rate     // what rate admits
	shared  bool             // together with other processes
	born    time.Time
	denied  atomic.Int64 // when the rate last refused what it had promised, ns since born; 0: never
	rest    rest
	gate    gate
}

// downstreams are all that the routes name; fixed by New.
type downstreams []*downstreamState

// newDownstreams makes the state of what the routes of m name.
func (c *Consumer) newDownstreams(m *Mux) (downstreams, error) {
	var ds downstreams
	for _, name := range m.downstreams() {
		s := &downstreamState{name: name, settled: newCounters(outcomes), born: time.Now()}
		s.gate.c, s.gate.d, s.rest.born = c, s, s.born
		if err := s.guard(c.cfg.downstream(name), c.cfg.SharedRate); err != nil {
			return nil, fmt.Errorf("consumer: Downstreams[%s]: %w", name, err)
		}
		c.queues.SetPace(name, tenants.Rate(c.cfg.downstream(name).Rate))
		ds = append(ds, s)
	}
	return ds, nil
}

// guard makes what guards s, as d says.
func (s *downstreamState) guard(d Downstream, shared func(string, limiter.Rate) (RateLimiter, error)) (err error) {
	if d.Limit.Algorithm != limiter.None {
		cfg := d.Limit.config()
		cfg.OnChange = func(limiter.Change) { s.gate.review() }
		if s.limiter, err = limiter.New(cfg); err != nil {
			return err
		}
	}
	if !d.Breaker.Disabled {
		cfg := d.Breaker.config()
		cfg.OnStateChange = s.turned
		if s.breaker, err = breaker.New(cfg); err != nil {
			return err
		}
	}
	s.rated, s.shared = d.Rate, d.SharedRate
	switch {
	case d.Rate == limiter.Rate{}:
	case d.SharedRate:
		s.rate, err = shared(keyDownstream+s.name, d.Rate)
		if err == nil && s.rate == nil {
			err = fmt.Errorf("nothing came from Config.SharedRate for %v", d.Rate)
		}
	default:
		s.rate, err = limiter.NewTokenBucket(d.Rate)
	}
	return err
}

// turned is told by the breaker that its state has changed.
func (s *downstreamState) turned(t breaker.Transition) {
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
