package redisbucket

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

// tick is how often keys that are alone are looked at.
const tick = 50 * time.Millisecond

const livesFor = 3 // heartbeats

// keep is the goroutine that says in Redis that this process lives, finds out when Redis is
// back, and forgets keys, until the Limiter is closed.
func (l *Limiter) keep() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	heartbeat := int64(l.cfg.Heartbeat)
	// At first often: those who begin together are counted soon.
	beatAt, interval := int64(0), heartbeat/16
	sweepEvery := max(int64(l.cfg.Forget)/4, int64(tick))
	sweepAt := l.clock() + sweepEvery
	for {
		select {
		case <-l.ctx.Done():
			return
		case <-l.link.kick:
		case <-timer.C:
		}
		now := l.clock()
		if now >= beatAt || !l.link.isUp() {
			if l.beat() {
				beatAt, interval = now+interval, min(2*interval, heartbeat)
			} else {
				beatAt = now + heartbeat
			}
		}
		if l.link.isUp() && l.link.stats().Alone > 0 {
			l.keys.each(func(e *entry) { e.retry(l.clock()) })
		}
		if now >= sweepAt {
			l.keys.sweep(now-int64(l.cfg.Forget), l)
			sweepAt = now + sweepEvery
		}
		timer.Reset(l.nextRound(min(beatAt, sweepAt)))
	}
}

// nextRound returns how long the keeper sleeps.
func (l *Limiter) nextRound(at int64) time.Duration {
	now := l.clock()
	in := max(time.Duration(at-now), 0)
	if ready, until := l.link.breaker.Ready(time.Now()); !ready {
		return min(in, max(time.Until(until), time.Millisecond))
	}
	if l.link.stats().Degraded {
		return min(in, tick)
	}
	return in
}

// beat says that this process lives, and so is the probe of a breaker that is open. It
// reports whether Redis took it.
func (l *Limiter) beat() bool {
	permit, err := l.link.breaker.Allow()
	if err != nil {
		return false
	}
	begun := l.clock()
	ctx, done := l.guard(permit)
	defer done()
	n, err := live(ctx, l.client, l.membersKey(), l.id, livesFor*l.cfg.Heartbeat.Milliseconds())
	l.roundTrips.Add(1)
	switch {
	case err == nil:
		l.members.counted(n)
		permit.Record(breaker.Success) // unless it was late
		return l.clock()-begun < l.timeout
	case l.ctx.Err() != nil:
		permit.Record(breaker.Ignored)
	default:
		l.link.failed(err)
		permit.Record(breaker.Failure)
	}
	return false
}

// membersKey is in no hash tag, so that no key of a bucket can be the same.
func (l *Limiter) membersKey() string { return l.cfg.Prefix + ":processes" }

// Members are how many processes live, as the last beats have counted. A Redis that comes
// back without its memory counts too few until all have said that they live, so the largest
// of a few counts is taken: a share of the rate that is too small for a while does no harm.
type members struct {
	last [4]int // of the keeper
	n    atomic.Int64
}

// assume is for the time until they were counted a few times.
func (m *members) assume(n int) {
	for i := range m.last {
		m.last[i] = n
	}
	m.n.Store(int64(n))
}

func (m *members) counted(n int) {
	copy(m.last[1:], m.last[:])
	m.last[0] = n
	m.n.Store(int64(max(slices.Max(m.last[:]), 1)))
}

func (m *members) count() int { return int(m.n.Load()) }
