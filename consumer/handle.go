package consumer

import (
	"errors"
	"time"

	"github.com/spillwaymq/spillway/breaker"
	"github.com/spillwaymq/spillway/limiter"
)

// ending is what the end of a run means for its message.
type ending struct {
	result  Result
	action  action
	err     error           // for actionRetry and actionDeadLetter
	limit   limiter.Outcome // what the run tells the limiter of its downstream
	health  breaker.Result  // and the breaker
	delay   time.Duration   // for actionRetry, actionHandBack, actionPostpone and actionRequeue
	outcome Outcome         // for actionMoved
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
	actionMoved             // it is a copy by now: what is left of it is to go
)

// conclude turns what a handler returned into what it means: the table of the
// package comment, line by line.
func (c *Consumer) conclude(d *delivery, err error, now time.Time) ending {
	if err == nil {
		d.route.state.rest.success()
		return ending{result: ResultSuccess, action: actionAck, limit: limiter.Success, health: breaker.Success}
	}
	if _, cause := d.run().ended(); cause != nil {
		return c.concludeCanceled(d, cause)
	}
	verdict, delay := verdictOf(err)
	switch verdict {
	case verdictDeadLetter:
		d.route.state.rest.success()
		return ending{result: ResultDeadLetter, action: actionDeadLetter, err: err, limit: limiter.Success, health: breaker.Success}
	case verdictOverloaded:
		return c.concludeOverloaded(d, delay, now)
	case verdictRetryAfter:
		return ending{result: ResultError, action: actionRetry, err: err, delay: delay, limit: limiter.Ignore, health: breaker.Ignored}
	}
	end := ending{result: resultOf(d, err, now), action: actionRetry, err: err, delay: c.backoff(d.msg.Attempt), limit: limiter.Ignore, health: breaker.Failure}
	if end.result == ResultTimeout {
		end.limit = limiter.Drop
	}
	return end
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
	end := ending{result: ResultCanceled, action: actionGiveBack, limit: limiter.Ignore, health: breaker.Ignored}
	switch {
	case errors.Is(cause, ErrLeaseLost):
		end.action, end.delay = actionHandBack, handBackDelay
	case d.lane.kind == LaneSuspect && c.movable(d):
		end.action = actionSuspect
	}
	return end
}

// concludeOverloaded keeps the message at the head of its queue. A suspect waits in
// the retry lane instead: the other suspects of the fleet are behind it.
func (c *Consumer) concludeOverloaded(d *delivery, delay time.Duration, now time.Time) ending {
	d.route.state.overloaded(now)
	if delay <= 0 {
		delay = growing(overloadMin, overloadMax, int(d.overloads))
	}
	d.overloads++
	end := ending{result: ResultOverloaded, action: actionRequeue, delay: delay, limit: limiter.Drop, health: breaker.Ignored}
	if d.lane.kind == LaneSuspect && c.movable(d) {
		end.action = actionPostpone
	}
	return end
}

// act does what the end of a run means for its message. The scheduler knows of the
// end already.
func (c *Consumer) act(d *delivery, end ending, now time.Time) {
	switch end.action {
	case actionAck:
		c.ack(d, OutcomeAck)
	case actionMoved:
		c.ack(d, end.outcome)
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
