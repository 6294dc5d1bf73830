package consumer

import (
	"errors"
	"time"
)

// ending is what the end of a run means for its message.
type ending struct {
	result Result
	action action
	err    error         // for actionRetry and actionDeadLetter
	delay  time.Duration // for actionRetry, actionHandBack, actionPostpone and actionRequeue
}

type action uint8

const (
	actionAck        action = iota
	actionRetry             // an attempt is spent
	actionDeadLetter        // the handler said so
	actionHandBack          // the lease was lost: no attempt is spent
	actionGiveBack          // the drain ran out: no attempt is spent
	actionSuspect           // to the end of the suspects: a delivery counts there
	actionPostpone          // to the retry lane, no attempt is spent
	actionRequeue           // stays at the head of its queue
)

// conclude turns what a handler returned into what it means: the table of the
// package comment, line by line.
func (c *Consumer) conclude(d *delivery, err error, now time.Time) ending {
	if err == nil {
		c.rests.success(d.route.state)
		return ending{result: ResultSuccess, action: actionAck}
	}
	if _, cause := d.run().ended(); cause != nil {
		return c.concludeCanceled(d, cause)
	}
	verdict, delay := verdictOf(err)
	switch verdict {
	case verdictDeadLetter:
		c.rests.success(d.route.state)
		return ending{result: ResultDeadLetter, action: actionDeadLetter, err: err}
	case verdictOverloaded:
		return c.concludeOverloaded(d, delay, now)
	case verdictRetryAfter:
		return ending{result: ResultError, action: actionRetry, err: err, delay: delay}
	}
	return ending{result: resultOf(d, err, now), action: actionRetry, err: err, delay: c.backoff(d.msg.Attempt)}
}

// resultOf tells a plain failure from a panic and from a timeout.
func resultOf(d *delivery, err error, now time.Time) Result {
	if _, ok := errors.AsType[*PanicError](err); ok {
		return ResultPanic
	}
	if deadline, ok := d.run().Deadline(); ok && !now.Before(deadline) {
		return ResultTimeout
	}
	return ResultError
}

// concludeCanceled is for a run that we ended, and that failed then: it spent no
// attempt. What lost its lease is not given back, for it is no longer ours to give,
// unless the server has delivered it to us again: handBack knows.
func (c *Consumer) concludeCanceled(d *delivery, cause error) ending {
	switch {
	case errors.Is(cause, ErrLeaseLost):
		return ending{result: ResultCanceled, action: actionHandBack, delay: handBackDelay}
	case d.lane.kind == LaneSuspect && c.movable(d):
		return ending{result: ResultCanceled, action: actionSuspect}
	}
	return ending{result: ResultCanceled, action: actionGiveBack}
}

// concludeOverloaded keeps the message at the head of its queue. A suspect waits in
// the retry lane instead: the other suspects of the fleet are behind it.
func (c *Consumer) concludeOverloaded(d *delivery, delay time.Duration, now time.Time) ending {
	d.route.state.overloads.Add(1)
	c.rests.overloaded(c, d.route.state, now)
	if delay <= 0 {
		delay = growing(overloadMin, overloadMax, int(d.overloads))
	}
	d.overloads++
	if d.lane.kind == LaneSuspect && c.movable(d) {
		return ending{result: ResultOverloaded, action: actionPostpone, delay: delay}
	}
	return ending{result: ResultOverloaded, action: actionRequeue, delay: delay}
}

// act does what the end of a run means for its message. The scheduler knows of the
// end already.
func (c *Consumer) act(d *delivery, end ending, now time.Time) {
	switch end.action {
	case actionAck:
		c.ack(d, OutcomeAck)
	case actionRetry:
		c.retry(d, end.err, end.delay)
	case actionDeadLetter:
		c.deadLetter(d, ReasonPermanent, end.err)
	case actionSuspect:
		c.suspect(d)
	case actionPostpone:
		c.postpone(d, now.Add(end.delay))
	case actionHandBack:
		c.handBack(d, end.delay, OutcomeHandBack)
	case actionGiveBack, actionRequeue:
		c.giveBack(d)
	}
}
