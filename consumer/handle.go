package consumer

import (
	"errors"
	"time"
)

// ending is what the end of a run means for its message.
type ending struct {
	result  Result
	settle  func()    // called once the scheduler knows of the end
	requeue bool      // the message stays at the head of its queue instead,
	until   time.Time // and does not run before this
}

// conclude turns what a handler returned into what it means: the table of the
// package comment, line by line.
func (c *Consumer) conclude(d *delivery, err error, now time.Time) ending {
	if err == nil {
		c.rests.success(d.downstreamState)
		return ending{result: ResultSuccess, settle: func() { c.ack(d, OutcomeAck) }}
	}
	if cause := d.run.ended(); cause != nil {
		return c.concludeCanceled(d, cause)
	}
	verdict, delay := verdictOf(err)
	switch verdict {
	case verdictDeadLetter:
		c.rests.success(d.downstreamState)
		return ending{result: ResultDeadLetter, settle: func() { c.bury(d, ReasonPermanent, err) }}
	case verdictOverloaded:
		return c.concludeOverloaded(d, delay, now)
	case verdictRetryAfter:
		return ending{result: ResultError, settle: func() { c.retry(d, err, delay) }}
	}
	return ending{result: resultOf(d, err, now), settle: func() { c.retry(d, err, c.backoff(d.msg.Attempt)) }}
}

// resultOf tells a plain failure from a panic and from a timeout.
func resultOf(d *delivery, err error, now time.Time) Result {
	if _, ok := errors.AsType[*PanicError](err); ok {
		return ResultPanic
	}
	if deadline, ok := d.run.Deadline(); ok && !now.Before(deadline) {
		return ResultTimeout
	}
	return ResultError
}

// concludeCanceled is for a run that we ended, and that failed then: it spent no
// attempt. What lost its lease is not given back, for it is no longer ours to give,
// unless the server has delivered it to us again.
func (c *Consumer) concludeCanceled(d *delivery, cause error) ending {
	end := ending{result: ResultCanceled}
	switch {
	case errors.Is(cause, ErrLeaseLost):
		end.settle = func() { c.handBack(d, handBackDelay, OutcomeHandBack) }
	case d.lane.kind == LaneSuspect && c.movable(d):
		end.settle = func() { c.suspect(d) } // a delivery counts as a strike there
	default:
		end.settle = func() { c.handBack(d, handBackDelay, OutcomeHandBack) }
	}
	return end
}

// concludeOverloaded keeps the message at the head of its queue. While the drain
// runs out it is not kept: it could not run again here.
func (c *Consumer) concludeOverloaded(d *delivery, delay time.Duration, now time.Time) ending {
	d.downstreamState.overloads.Add(1)
	c.rests.overloaded(c, d.downstreamState, now)
	if delay <= 0 {
		delay = growing(overloadMin, overloadMax, d.overloads)
	}
	d.overloads++
	if d.lane.kind == LaneSuspect && c.movable(d) {
		// Nobody else's suspects wait for this downstream: it goes back as what it was.
		return ending{result: ResultOverloaded, settle: func() { c.postpone(d, now.Add(delay)) }}
	}
	return ending{result: ResultOverloaded, requeue: true, until: now.Add(delay)}
}
