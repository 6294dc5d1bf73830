package tenants

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Rate is how many items of a tenant may start in a time, and how many at once: 100 a
// second in bursts of 20 is Rate{Events: 100, Per: time.Second, Burst: 20}. In any time T no
// more than Burst + Events·T/Per start. The zero Rate is no bound.
type Rate struct {
	Events float64       // how many in Per; above 0, need not be whole
	Per    time.Duration // above 0; default 1 s
	Burst  int           // how many at once after a pause; default: what a tenth of a second brings, at least 1
}

const (
	maxPerSecond = 1e9
	maxInterval  = 366 * 24 * time.Hour
	maxBurst     = 1_000_000_000
)

// perNano requires that r is valid and no zero Rate.
func (r Rate) perNano() float64 { return r.Events / float64(r.Per) }

// withDefaults returns r with its zero fields filled in, and all that is wrong with it.
func (r Rate) withDefaults() (Rate, error) {
	if r == (Rate{}) {
		return r, nil
	}
	var errs []error
	wrong := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if !(r.Events > 0) || math.IsInf(r.Events, 1) {
		wrong("Policy.Rate.Events is %v: must be above 0 and finite", r.Events)
	}
	if r.Per < 0 {
		wrong("Policy.Rate.Per is %v: must be above 0", r.Per)
	}
	if r.Burst < 0 || r.Burst > maxBurst {
		wrong("Policy.Rate.Burst is %d: must be from 0 (for its default) to %d", r.Burst, maxBurst)
	}
	r.Per = orDefault(r.Per, time.Second)
	if len(errs) > 0 {
		return r, errors.Join(errs...)
	}
	if perSecond := r.perNano() * 1e9; perSecond > maxPerSecond*(1+1e-12) {
		wrong("Policy.Rate is %g a second: must be at most %g", perSecond, float64(maxPerSecond))
	}
	if interval := float64(r.Per) / r.Events; interval > float64(maxInterval) {
		wrong("Policy.Rate is one in %.3g hours: must be at least one in %v", interval/float64(time.Hour), maxInterval)
	}
	r.Burst = orDefault(r.Burst, max(1, int(math.Ceil(min(maxBurst, r.perNano()*float64(time.Second/10))))))
	return r, errors.Join(errs...)
}

// A bucket holds the tokens of a tenant as of a time. What it would hold by now is worked
// out when somebody asks.
type bucket struct {
	tokens float64
	at     int64
}

// aToken is what is as good as a whole one: that is how far sums of floats may be off. What
// is missing is missing again next time, so nothing is gained by it.
const aToken = 1 - 1e-6

func (l *limits) fullBucket(now int64) bucket { return bucket{l.burst, now} }

// fill returns b as of now. A time before the last one brings nothing.
func (l *limits) fill(b bucket, now int64) bucket {
	if now <= b.at {
		return b
	}
	return bucket{min(l.burst, b.tokens+float64(now-b.at)*l.rate), now}
}

func (l *limits) isFull(b bucket, now int64) bool {
	return l.rate == 0 || l.fill(b, now).tokens >= l.burst
}

// spend takes the token for an item that starts. It is there: who has none is blocked.
func (s *scheduler) spend(now int64, t *tenant) {
	if t.limits.rate == 0 {
		return
	}
	t.bucket = t.limits.fill(t.bucket, now)
	t.bucket.tokens--
	s.dryUp(now, t)
}

// refund gives a token back.
func (s *scheduler) refund(now int64, t *tenant) {
	if t.limits.rate == 0 {
		return
	}
	t.bucket = t.limits.fill(t.bucket, now)
	t.bucket.tokens = min(t.limits.burst, t.bucket.tokens+1)
	s.dryUp(now, t)
}

// refill is for a tenant that is about to have other limits: it keeps its tokens, as many
// as the new bucket holds. Who had no rate begins with a full one, and so does who had a full
// one, which may have been forgotten and be met again with the new limits.
func (s *scheduler) refill(now int64, t *tenant, to *limits) {
	if t.limits.isFull(t.bucket, now) {
		t.bucket = to.fullBucket(now)
		return
	}
	t.bucket = t.limits.fill(t.bucket, now)
	t.bucket.tokens = min(t.bucket.tokens, to.burst)
}

// dryUp puts t, whose bucket has changed, among those that wait for a token, or takes it
// out. Its queues are the caller's to move.
func (s *scheduler) dryUp(now int64, t *tenant) {
	l := t.limits
	t.dry = l.rate > 0 && t.bucket.tokens < aToken
	if !t.dry {
		s.dry.remove(t.id)
		return
	}
	wait := min((1-t.bucket.tokens)/l.rate, maxTime/2)
	s.dry.put(t.id, key{order: uint64(max(now, t.bucket.at) + max(1, int64(math.Ceil(wait))))})
}

// ReturnUntil is Return for an item whose tenant has a shared rate without a token before
// at: nothing of the tenant starts until then, and WaitRate is why. Others pass it by, but the
// item, which has paid nothing, keeps its turn: it is charged as of then, by up to what it is
// expected to take, and comes before others when the time has come. If the tenant's rate is not
// shared any more, it is Return.
func (q *Queues[T]) ReturnUntil(now time.Time, j Job[T], at time.Time) bool {
	q.mu.Lock()
	defer q.unlock()
	tick := q.tick(now)
	qu, r, ok := q.s.undo(tick, j.run, j.gen)
	if !ok {
		return false
	}
	q.s.starve(tick, qu.tenant, q.at(at))
	return q.putBack(tick, qu, r, j, tick)
}

// starve lets nothing of t, whose shared rate has no token, start before at.
func (s *scheduler) starve(now int64, t *tenant, at int64) {
	if !t.limits.shared || at <= now {
		return
	}
	t.dry = true
	s.dry.put(t.id, key{order: uint64(at)})
	s.withdraw(t)
}

// wet lets the tenants run whose token has come.
func (s *scheduler) wet(now int64) {
	for len(s.dry.entries) > 0 {
		e := s.dry.entries[0]
		if int64(e.order) > now {
			return
		}
		t := s.byID[e.id]
		t.bucket = t.limits.fill(t.bucket, now)
		s.dryUp(now, t)
		s.enterAll(t)
	}
}
