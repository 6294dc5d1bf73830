package breaker

import "math/rand/v2"

// admit is Allow while the breaker is not closed.
func (b *Breaker) admit(now int64) (Permit, error) {
	if ph := b.phase.Load(); ph.state == Open && now < ph.until && now >= ph.since-tolerance {
		b.refused.Add(1)
		return Permit{}, ph.refusal
	}
	b.mu.Lock()
	defer b.unlock()
	t := b.tick(now)
	ph := b.phase.Load()
	if ph.state == Open {
		if t < ph.until {
			b.refused.Add(1)
			return Permit{}, ph.refusal
		}
		ph = b.halfOpen(t)
	}
	if ph.state == Closed {
		return b.permit(ph.generation, now, 0), nil
	}
	if b.probes.free(t, ph.set.Probes) == 0 {
		b.refused.Add(1)
		return Permit{}, &OpenError{State: HalfOpen, Until: b.time(b.probes.deadline(t))}
	}
	return b.permit(ph.generation, now, b.probes.start(t, ph.set.ProbeTimeout)), nil
}

// record is the second half of Permit.Record.
func (b *Breaker) record(now int64, e ended, r Result) {
	set := b.phase.Load().set
	if now == unread && set.timed {
		now = b.now()
	}
	if r == Success && !set.isSlow(e.start, now) && b.tally.Load().add(e.generation, now) {
		return
	}
	b.mu.Lock()
	if ph := b.phase.Load(); ph.generation == e.generation {
		if ph.state == Closed {
			b.count(ph, now, e.start, r)
		} else {
			b.settle(ph.set, now, e, r)
		}
	}
	b.unlock()
}

// count requires mu, and that the breaker is closed.
func (b *Breaker) count(ph *phase, now, start int64, r Result) {
	set := ph.set
	var v verdict
	if r == Failure {
		v = failed
	}
	var t int64
	if set.timed {
		now = b.read(now)
		t = b.tick(now)
		if set.isSlow(start, now) {
			v |= slow
		}
	}
	b.gather(t)
	c := b.window.add(t, v)
	if why, ok := set.trips(c); ok {
		b.open(b.tick(b.read(now)), why, c)
	} else if c.calls >= set.MinCalls && b.tally.Load() == nil {
		b.newTally(ph, t)
	}
}

// settle is the end of a probe. It requires mu, and that the breaker is half-open.
func (b *Breaker) settle(set *settings, now int64, e ended, r Result) {
	now = b.read(now)
	t := b.tick(now)
	b.probes.end(e.probe)
	switch {
	case r == Failure:
		b.open(t, ProbeFailed, counts{})
	case r != Success:
	case set.isSlow(e.start, now):
		b.open(t, ProbeSlow, counts{})
	default:
		if b.probes.succeeded++; b.probes.succeeded >= set.Probes {
			b.close(t, ProbesSucceeded)
		}
	}
}

// read looks at the clock if nobody has.
func (b *Breaker) read(now int64) int64 {
	if now == unread {
		return b.now()
	}
	return now
}

func (s *settings) isSlow(start, now int64) bool {
	return s.SlowCall > 0 && start != unread && now-start > int64(s.SlowCall)
}

// open requires mu, as do those that follow.
func (b *Breaker) open(t int64, why Reason, c counts) {
	ph := b.phase.Load()
	until := t + openFor(ph.set, b.openings, rand.Float64())
	b.openings++
	b.change(&phase{
		set: ph.set, state: Open, since: t, until: until,
		refusal: &OpenError{State: Open, Until: b.time(until)},
	}, why, c)
}

// openFor returns how long the breaker is open after it has opened so many times before,
// with a chance from 0 to 1.
func openFor(set *settings, openings int, chance float64) int64 {
	d, most := set.Open, set.MaxOpen
	for range openings {
		if d >= most-d {
			d = most
			break
		}
		d *= 2
	}
	return max(1, int64(float64(d)*(0.8+0.4*chance)))
}

func (b *Breaker) halfOpen(t int64) *phase {
	b.probes.clear()
	return b.change(&phase{set: b.phase.Load().set, state: HalfOpen, since: t}, OpenEnded, counts{})
}

func (b *Breaker) close(t int64, why Reason) {
	b.openings = 0
	b.change(&phase{set: b.phase.Load().set, state: Closed, since: t}, why, counts{})
}

// change ends the generation. All changes of state are made here.
func (b *Breaker) change(to *phase, why Reason, c counts) *phase {
	from := b.phase.Load()
	to.generation = from.generation + 1
	b.seal()
	b.window.clear()
	b.phase.Store(to)
	if f := to.set.OnStateChange; f != nil && from.state != to.state {
		tr := Transition{
			From: from.state, To: to.state, Why: why, At: b.time(to.since),
			Calls: c.calls, Failures: c.failures, Slow: c.slow,
		}
		if to.state == Open {
			tr.Until = b.time(to.until)
		}
		b.told = append(b.told, told{f, tr})
	}
	return to
}

// told is a transition, and who is to be told of it.
type told struct {
	f  func(Transition)
	tr Transition
}

// unlock gives up mu, and tells of the changes that were made, unless somebody is at it
// who will tell of these, too. A callback that changes the state finds itself telling.
func (b *Breaker) unlock() {
	if len(b.told) == 0 || b.telling {
		b.mu.Unlock()
		return
	}
	b.tell()
}

func (b *Breaker) tell() {
	b.telling = true
	defer func() { // a callback that panics must not silence the others for ever
		b.telling = false
		b.mu.Unlock()
	}()
	for len(b.told) > 0 {
		b.tellOne()
	}
}

// tellOne gives up mu while the callback runs.
func (b *Breaker) tellOne() {
	next := b.told[0]
	b.told = b.told[1:]
	b.mu.Unlock()
	defer b.mu.Lock()
	next.f(next.tr)
}
