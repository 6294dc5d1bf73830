package consumer

import (
	"errors"
	"fmt"

	"github.com/spillwaymq/spillway/breaker"
	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/tenants"
)

// guards are what protects a downstream. They are never changed, only replaced as a whole;
// what they point to may be in two of them, one after the other, and keeps what it has
// learned.
type guards struct {
	limiter *limiter.Limiter // nil: no limit
	breaker *breaker.Breaker // nil: none
	rate    RateLimiter      // nil: none
	as      Downstream       // what they do
}

// A guardChange is what is to be done to one downstream. It is planned first, as that may
// fail, and made when all were planned.
type guardChange struct {
	s        *downstreamState
	from, to *guards
}

type guardChanges []guardChange

// plan makes what l needs and is not there yet. Nothing of it is in use before make. A
// RateLimiter is asked for last: if one is refused, those that had another rate before get
// it back from undo.
func (ds downstreams) plan(l *live, undo *live) (guardChanges, error) {
	var changes guardChanges
	var errs []error
	for _, s := range ds {
		from, want := s.guards.Load(), l.Downstreams[s.name]
		if from.as == want {
			continue
		}
		to, err := s.planOwn(from, want)
		if err != nil {
			errs = append(errs, fmt.Errorf("consumer: Downstreams[%s]: %w", s.name, err))
		}
		changes = append(changes, guardChange{s, from, to})
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return changes, changes.planShared(l, undo)
}

// planOwn plans what belongs to this process alone.
func (s *downstreamState) planOwn(from *guards, want Downstream) (to *guards, err error) {
	to = &guards{as: want}
	switch {
	case want.Limit.Algorithm == limiter.None:
	case from.limiter != nil && from.as.Limit.Algorithm == want.Limit.Algorithm:
		to.limiter = from.limiter
	default:
		cfg := want.Limit.config()
		cfg.OnChange = func(limiter.Change) { s.gate.review() }
		if to.limiter, err = limiter.New(cfg); err != nil {
			return nil, err
		}
	}
	switch {
	case want.Breaker.Disabled:
	case from.breaker != nil:
		to.breaker = from.breaker
	default:
		var b *breaker.Breaker
		if b, err = breaker.New(s.telling(want.Breaker, &b)); err != nil {
			return nil, err
		}
		to.breaker = b
	}
	switch {
	case want.Rate == limiter.Rate{} || want.SharedRate:
	case from.ownBucket() != nil:
		to.rate = from.rate
	default:
		to.rate, err = limiter.NewTokenBucket(want.Rate)
	}
	return to, err
}

// telling is cfg for the breaker at b, which tells s what becomes of it.
func (s *downstreamState) telling(cfg Breaker, b **breaker.Breaker) breaker.Config {
	c := cfg.config()
	c.OnStateChange = func(t breaker.Transition) { s.turned(*b, t) }
	return c
}

// ownBucket is the token bucket of a rate that is not shared, if there is one.
func (g *guards) ownBucket() *limiter.TokenBucket {
	if g.as.SharedRate {
		return nil
	}
	b, _ := g.rate.(*limiter.TokenBucket)
	return b
}

// sharedRate is the rate that g shares with others, zero if it shares none.
func (g *guards) sharedRate() limiter.Rate {
	if !g.as.SharedRate {
		return limiter.Rate{}
	}
	return g.as.Rate
}

// planShared asks for the RateLimiters that are new.
func (changes guardChanges) planShared(l, undo *live) error {
	for i, c := range changes {
		was, want := c.from.sharedRate(), c.to.sharedRate()
		switch want {
		case limiter.Rate{}:
			continue
		case was:
			c.to.rate = c.from.rate
			continue
		}
		rate, err := l.SharedRate(keyDownstream+c.s.name, want)
		if err == nil && rate == nil {
			err = fmt.Errorf("nothing came from Config.SharedRate for %v", want)
		}
		if err != nil {
			changes[:i+1].restore(undo)
			return fmt.Errorf("consumer: Downstreams[%s]: %w", c.s.name, err)
		}
		c.to.rate = rate
	}
	return nil
}

// restore asks for the RateLimiters that are in use once more. One whose rate is that of
// who asked last has its rate again.
func (changes guardChanges) restore(undo *live) {
	for _, c := range changes {
		if was := c.from.sharedRate(); was != (limiter.Rate{}) && was != c.to.sharedRate() {
			_, _ = undo.SharedRate(keyDownstream+c.s.name, was) // that in use is the same, or was not changed
		}
	}
}

// make puts what was planned in force. The configs were checked, so that nothing fails here.
func (changes guardChanges) make() {
	for _, c := range changes {
		if c.to.limiter != nil && c.to.limiter == c.from.limiter && c.to.as.Limit != c.from.as.Limit {
			_ = c.to.limiter.Reconfigure(c.to.as.Limit.config())
		}
		if c.to.breaker != nil && c.to.breaker == c.from.breaker && c.to.as.Breaker != c.from.as.Breaker {
			_ = c.to.breaker.Reconfigure(c.s.telling(c.to.as.Breaker, &c.to.breaker))
		}
		if b := c.to.ownBucket(); b != nil && c.from.ownBucket() == b && c.to.as.Rate != c.from.as.Rate {
			_ = b.SetRate(c.to.as.Rate)
		}
		c.s.gate.c.queues.SetPace(c.s.name, tenants.Rate(c.to.as.Rate))
		c.s.denied.Store(0)
		c.s.guards.Store(c.to)
	}
}
