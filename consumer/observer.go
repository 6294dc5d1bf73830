package consumer

import (
	"slices"
	"time"
)

// tickEvery is how often Observer.Tick is called.
const tickEvery = time.Second

// Lane is one JetStream consumer and its pull loop.
type Lane string

// The lanes of a Consumer.
const (
	LaneMain     Lane = "main"     // the durable on the stream
	LaneOverflow Lane = "overflow" // copies of one queue that had no room for them
	LaneRetry    Lane = "retry"    // copies that wait for their next attempt
	LaneSuspect  Lane = "suspect"  // copies that were delivered too often without an outcome
)

// Outcome is how the delivery of a message was settled.
type Outcome string

// The outcomes.
const (
	OutcomeAck        Outcome = "ack"         // handled
	OutcomeRetry      Outcome = "retry"       // moved to the retry lane for its next attempt
	OutcomeDeadLetter Outcome = "dead_letter" // moved to the dead letters
	OutcomeSpill      Outcome = "spill"       // shed: moved to its queue's overflow
	OutcomeDrop       Outcome = "drop"        // shed: terminated, as its tenant's policy says
	OutcomeDelay      Outcome = "delay"       // shed: handed back, or moved, to come again later
	OutcomeHandBack   Outcome = "hand_back"   // handed back without an attempt
	OutcomeLeaseLost  Outcome = "lease_lost"  // not settled: the lease was lost first
	OutcomeSuspect    Outcome = "suspect"     // moved to the suspect lane
)

// Reason is why a message was dead-lettered.
type Reason string

// The reasons.
const (
	ReasonPermanent Reason = "permanent"  // the handler said so, with DeadLetter
	ReasonAttempts  Reason = "attempts"   // Retry.MaxAttempts runs failed
	ReasonNoTenant  Reason = "no_tenant"  // Config.Tenant found none
	ReasonBadTenant Reason = "bad_tenant" // the name is too long, not printable or not UTF-8
	ReasonNoRoute   Reason = "no_route"   // no route of the Mux takes its subject
	ReasonTooLarge  Reason = "too_large"  // larger than Buffer.Bytes
	ReasonCrash     Reason = "crash"      // it ended the process again and again
	ReasonBadCopy   Reason = "bad_copy"   // a record in the overflow stream that is not ours
)

// Result is how a run of a handler ended.
type Result string

// The results.
const (
	ResultSuccess    Result = "success"
	ResultError      Result = "error"
	ResultPanic      Result = "panic"
	ResultTimeout    Result = "timeout"
	ResultOverloaded Result = "overloaded"
	ResultDeadLetter Result = "dead_letter"
	ResultCanceled   Result = "canceled" // the lease was lost or the drain ran out
)

// PauseReason is why a lane does not ask for messages.
type PauseReason string

// The reasons of a pause.
const (
	PauseDisconnected PauseReason = "disconnected" // there is no connection to NATS
	PauseConsumer     PauseReason = "consumer"     // its consumer is missing, or one that cannot be used
	PauseBackoff      PauseReason = "backoff"      // requests were lost
	PauseMoves        PauseReason = "moves"        // copies wait to be confirmed
	PauseHold         PauseReason = "hold"         // a queue is at its high watermark and holds the pull
	PauseBuffer       PauseReason = "buffer"       // everything that may be held is held
	PauseEmpty        PauseReason = "empty"        // an overflow has nothing more
	PauseQueue        PauseReason = "queue"        // the queue of an overflow is shedding still
	PauseWorkers      PauseReason = "workers"      // a suspect waits for an idle worker
	PauseBreaker      PauseReason = "breaker"      // no downstream may run, one at least for its breaker
	PauseRest         PauseReason = "rest"         // every downstream rests after nothing but overload
)

// Observer is told what happens, as it happens. Any of its funcs may be nil. They
// are called from the goroutines that do the work, several at once, and must return
// soon and not call the Consumer back, Snapshot apart.
type Observer struct {
	// Handled is called when a handler has returned.
	Handled func(Handled)
	// Settled is called when a delivery was settled.
	Settled func(Settled)
	// Shed is called when a message came to a queue at its high watermark and was
	// not queued.
	Shed func(Shed)
	// DeadLettered is called when a dead letter was confirmed.
	DeadLettered func(DeadLettered)
	// BreakerTurned is called when the breaker of a downstream has changed its state.
	BreakerTurned func(BreakerTurned)
	// Noisy is called when a tenant began or ceased to take more than two thirds of the
	// workers while others had work too.
	Noisy func(Noisy)
	// LaneReset is called when a pull loop had to begin anew.
	LaneReset func(LaneReset)
	// Tick is called once a second while Run works, one call at a time, for who keeps
	// a history of Snapshot.
	Tick func(now time.Time)
}

// Handled tells of one run of a handler.
type Handled struct {
	Tenant     string
	Downstream string
	Lane       Lane
	Result     Result
	Err        error         // what the handler returned; a *PanicError if it panicked
	Wait       time.Duration // from arrival in this process to the start
	Took       time.Duration // from the start to the end
	EndToEnd   time.Duration // from publication to the end
}

// Settled tells of one settled delivery.
type Settled struct {
	Tenant     string
	Downstream string // "" if no route was found
	Lane       Lane
	Outcome    Outcome
}

// Shed tells of one message that was not queued.
type Shed struct {
	Tenant     string
	Downstream string
	Policy     OverflowPolicy // what was done instead
}

// DeadLettered tells of one dead letter.
type DeadLettered struct {
	Tenant   string
	Reason   Reason
	Subject  string
	Stream   string
	Sequence uint64
	Err      string
}

// BreakerTurned tells of one change of the state of a breaker.
type BreakerTurned struct {
	Downstream string
	From, To   BreakerState
	Why        string    // failures, slow_calls, open_ended, probe_failed, probe_slow or probes_succeeded
	Until      time.Time // if To is open: when a message will be tried
}

// BreakerState is the state of a breaker.
type BreakerState string

// The states of a breaker.
const (
	BreakerClosed   BreakerState = "closed"
	BreakerOpen     BreakerState = "open"      // no message starts
	BreakerHalfOpen BreakerState = "half_open" // some do, to see whether it goes
)

// LaneReset tells of a pull loop that had to begin anew.
type LaneReset struct {
	Lane     Lane
	Consumer string // of JetStream
	Err      error  // why; a *PullError
}

// observers calls several Observers in the order they were added.
type observers []Observer

func (os observers) handled(e Handled) {
	for i := range os {
		if f := os[i].Handled; f != nil {
			f(e)
		}
	}
}

func (os observers) settled(e Settled) {
	for i := range os {
		if f := os[i].Settled; f != nil {
			f(e)
		}
	}
}

func (os observers) shed(e Shed) {
	for i := range os {
		if f := os[i].Shed; f != nil {
			f(e)
		}
	}
}

func (os observers) deadLettered(e DeadLettered) {
	for i := range os {
		if f := os[i].DeadLettered; f != nil {
			f(e)
		}
	}
}

func (os observers) laneReset(e LaneReset) {
	for i := range os {
		if f := os[i].LaneReset; f != nil {
			f(e)
		}
	}
}

// ticks reports whether anybody wants to be told of the time.
func (os observers) ticks() bool {
	return slices.ContainsFunc(os, func(o Observer) bool { return o.Tick != nil })
}

func (os observers) tick(now time.Time) {
	for i := range os {
		if f := os[i].Tick; f != nil {
			f(now)
		}
	}
}

func (os observers) breakerTurned(e BreakerTurned) {
	for i := range os {
		if f := os[i].BreakerTurned; f != nil {
			f(e)
		}
	}
}

func (os observers) noisy(e Noisy) {
	for i := range os {
		if f := os[i].Noisy; f != nil {
			f(e)
		}
	}
}
