package consumer

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// backoff is how long to wait after the failed run number attempt.
func (c *Consumer) backoff(attempt int) time.Duration {
	r := &c.live.Load().Retry
	d := float64(r.Initial) * math.Pow(r.Multiplier, float64(attempt-1))
	d = min(d, float64(r.Max))
	d *= 1 + r.Jitter*(2*rand.Float64()-1)
	return time.Duration(max(d, 0))
}

// growing is lo, 2·lo, 4·lo, … up to hi, each a fifth more or less.
func growing(lo, hi time.Duration, n int) time.Duration {
	d := float64(min(lo<<min(n, 30), hi))
	if lo<<min(n, 30) <= 0 {
		d = float64(hi)
	}
	return time.Duration(d * (0.8 + 0.4*rand.Float64()))
}

// maxRetryDelay bounds what RetryAfter may ask for.
const maxRetryDelay = 30 * 24 * time.Hour

// retry moves d to the retry lane for its next attempt, or dead-letters it after the last.
func (c *Consumer) retry(d *delivery, err error, delay time.Duration) {
	if d.msg.Attempt >= c.live.Load().Retry.MaxAttempts {
		c.deadLetter(d, ReasonAttempts, err)
		return
	}
	delay = min(delay, maxRetryDelay)
	c.logs.handler.warn("a handler failed; the message will be tried again", "tenant", d.msg.Tenant, "subject", d.msg.Subject,
		"stream", d.msg.Stream, "sequence", d.msg.Sequence, "attempt", d.msg.Attempt, "again_in", delay, "error", err)
	if !c.movable(d) {
		c.handBack(d, delay, OutcomeRetry)
		return
	}
	c.moveToRetry(d, d.msg.Attempt+1, time.Now().Add(delay), OutcomeRetry)
}

// giveBack hands d back without an attempt. One that was delivered often already would
// be taken for a suspect next time: it is moved to the retry lane instead, where its
// count begins anew.
func (c *Consumer) giveBack(d *delivery) {
	if d.msg.Deliveries >= d.lane.innocent() && c.movable(d) {
		c.postpone(d, time.Now())
		return
	}
	c.handBack(d, handBackDelay, OutcomeHandBack)
}

// postpone moves d to the retry lane without spending an attempt.
func (c *Consumer) postpone(d *delivery, until time.Time) {
	c.moveToRetry(d, d.msg.Attempt, until, OutcomeDelay)
}

func (c *Consumer) moveToRetry(d *delivery, attempt int, notBefore time.Time, outcome Outcome) {
	header := c.copyHeader(d, d.msg.Header)
	envelope.SetAttempt(header, attempt, notBefore)
	c.move(d, envelope.RetrySubject(c.cfg.Overflow.Stream, c.cfg.Durable), header, outcome)
}

// suspect moves d to the suspect lane, where it will run alone in all processes.
func (c *Consumer) suspect(d *delivery) {
	header := c.copyHeader(d, d.msg.Header)
	envelope.SetAttempt(header, d.msg.Attempt, time.Time{})
	c.move(d, envelope.SuspectSubject(c.cfg.Overflow.Stream, c.cfg.Durable), header, OutcomeSuspect)
}
