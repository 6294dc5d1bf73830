package breaker

import (
	"fmt"
	"time"
)

// State is one of Closed, Open and HalfOpen.
type State int

// The states of a Breaker.
const (
	Closed   State = iota // calls are admitted, and their results counted
	Open                  // none is admitted
	HalfOpen              // some probes are
)

// String returns closed, open or half_open.
func (s State) String() string {
	switch s {
	case Closed:
		return "closed"
	case Open:
		return "open"
	case HalfOpen:
		return "half_open"
	}
	return fmt.Sprintf("State(%d)", int(s))
}

// Result is what a call says about the downstream. What is none of the three is Ignored.
type Result int

// The results of a call.
const (
	Success Result = iota // it works
	Failure               // it does not
	Ignored               // the call says nothing about it: cancelled, or told to come later
)

// String returns success, failure or ignored.
func (r Result) String() string {
	switch r {
	case Success:
		return "success"
	case Failure:
		return "failure"
	case Ignored:
		return "ignored"
	}
	return fmt.Sprintf("Result(%d)", int(r))
}

// Reason is why the state of a Breaker has changed.
type Reason string

// The reasons.
const (
	TooManyFailures Reason = "failures"         // closed to open
	TooManySlow     Reason = "slow_calls"       // closed to open
	OpenEnded       Reason = "open_ended"       // open to half-open
	ProbeFailed     Reason = "probe_failed"     // half-open to open
	ProbeSlow       Reason = "probe_slow"       // half-open to open
	ProbesSucceeded Reason = "probes_succeeded" // half-open to closed
	Manual          Reason = "manual"           // Trip or Reset
)

// Transition is a change of state.
type Transition struct {
	From, To State
	Why      Reason
	At       time.Time
	Until    time.Time // if To is Open: when probes will be admitted

	Calls, Failures, Slow int // of the window, if From is Closed
}

// OpenError is why Allow has refused.
type OpenError struct {
	State State // Open, or HalfOpen with all its probes out

	// Until is when to ask again: when the breaker will have been open long enough, or when
	// the first of the probes will give up its place. It may be sooner: a probe may end.
	Until time.Time
}

// Error says until when the breaker is open.
func (e *OpenError) Error() string {
	if e.State == HalfOpen {
		return "breaker: half-open, and all probes are out until " + e.Until.Format(time.RFC3339Nano)
	}
	return "breaker: open until " + e.Until.Format(time.RFC3339Nano)
}

// A phase is a state and all that Allow needs to know of it without a lock. It is never
// changed but replaced. Its times are of the caller's clock.
type phase struct {
	set        *settings
	state      State
	generation uint64
	since      int64
	until      int64      // if open
	refusal    *OpenError // if open
}

// shifted returns ph as it is in a clock that has stepped back.
func (ph *phase) shifted(b *Breaker, back int64) *phase {
	next := *ph
	next.since, next.until = earlier(ph.since, back), earlier(ph.until, back)
	if next.refusal != nil {
		next.refusal = &OpenError{State: Open, Until: b.time(next.until)}
	}
	return &next
}
