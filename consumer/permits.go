package consumer

import (
	"time"

	"github.com/spillwaymq/spillway/breaker"
	"github.com/spillwaymq/spillway/limiter"
)

// permits are what one run has of its downstream, and of its tenant's shared rate.
type permits struct {
	limit   limiter.Permit
	breaker breaker.Permit
	tenant  RateLimiter // who gave the token; nil: none was needed
}

// acquire takes what a run of j needs. If there is something that it needs and cannot have,
// it takes nothing; until is then when its tenant's shared rate may have a token, if that is
// what is missing. It is asked first: a downstream that could take the message is to be had
// for others.
func (c *Consumer) acquire(j job) (p permits, until time.Time, ok bool) {
	s := j.Value.route.state
	token, until, ok := c.rates.take(j)
	if !ok {
		if !s.gate.open() {
			s.gate.review() // what may start one by one has done so in vain
		}
		return p, until, false
	}
	p, ok = s.acquire(j.Started)
	if !ok && token != nil {
		token.Refund(1)
	}
	p.tenant = token
	return p, time.Time{}, ok
}

// acquire takes what a run for s needs. The scheduler starts no more than there are
// permits for, so that it is refused only when something has changed since: then the
// gate has been reviewed, and the message is to go back.
func (s *downstreamState) acquire(now time.Time) (p permits, ok bool) {
	single := !s.gate.open()
	if single {
		now = time.Now() // the gate opened by the clock; the worker may have read it before
	}
	ok = s.take(&p, now)
	if single || !ok {
		s.gate.review()
	}
	return p, ok
}

func (s *downstreamState) take(p *permits, now time.Time) (ok bool) {
	if s.rest.streak.Load() >= restAfter && s.rest.resting(now) {
		return false
	}
	if s.limiter != nil {
		if p.limit, ok = s.limiter.TryAcquireAt(now); !ok {
			return false
		}
	}
	if s.breaker != nil {
		var err error
		if p.breaker, err = s.breaker.AllowAt(now); err != nil {
			p.limit.ReleaseAt(now, limiter.Ignore)
			return false
		}
	}
	if s.rate != nil && !s.rate.AllowN(now, 1) {
		s.denied.Store(max(1, int64(now.Sub(s.born))))
		p.limit.ReleaseAt(now, limiter.Ignore)
		p.breaker.RecordAt(now, breaker.Ignored)
		return false
	}
	return true
}

// release gives p back, and says what the run tells of s.
func (s *downstreamState) release(p permits, now time.Time, o limiter.Outcome, r breaker.Result) {
	p.limit.ReleaseAt(now, o)
	p.breaker.RecordAt(now, r)
	if s.breaker != nil && s.breaker.State() != breaker.Closed {
		s.gate.review() // a probe that says nothing makes room for another
	}
}

// unused gives p back, and the tokens of rates with it: the message does not run.
func (s *downstreamState) unused(p permits, now time.Time) {
	if p.tenant != nil {
		p.tenant.Refund(1)
	}
	if s.rate != nil {
		s.rate.Refund(1)
		s.gate.review()
	}
	s.release(p, now, limiter.Ignore, breaker.Ignored)
}

// facts are what the gate of s goes by.
func (s *downstreamState) facts(now time.Time) facts {
	f := facts{rest: s.rest.end(), admits: true}
	if s.breaker != nil {
		f.breaker = s.breaker.State()
		f.admits, f.until = s.breaker.Ready(now)
	}
	if s.rate != nil {
		f.rated, f.token = true, s.tokenAt(now)
	}
	return f
}

// rateDoubt is how long a RateLimiter is not asked again that said when it admits, and
// then did not; and one that does not say when.
const rateDoubt = time.Millisecond

// tokenAt returns when a message may be started as far as the rate is concerned.
func (s *downstreamState) tokenAt(now time.Time) time.Time {
	at, known := s.rate.Next(now, 1)
	if !known {
		at = now.Add(rateDoubt)
	}
	if denied := s.denied.Load(); denied != 0 {
		if again := s.born.Add(time.Duration(denied) + rateDoubt); at.Before(again) {
			at = again
		}
	}
	return at
}
