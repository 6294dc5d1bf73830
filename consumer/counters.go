package consumer

import "sync/atomic"

// counter is a count that only rises.
type counter struct{ atomic.Uint64 }

// outcomeCounters count settlements by outcome.
type outcomeCounters [len(outcomes)]counter

func (o *outcomeCounters) add(outcome Outcome) {
	for i := range outcomes {
		if outcomes[i] == outcome {
			o[i].Add(1)
			return
		}
	}
}

func (o *outcomeCounters) snapshot() map[Outcome]uint64 {
	m := make(map[Outcome]uint64, len(outcomes))
	for i := range outcomes {
		if n := o[i].Load(); n > 0 {
			m[outcomes[i]] = n
		}
	}
	return m
}

// reasons lists the reasons of dead letters in the order of their counters.
var reasons = [...]Reason{
	ReasonPermanent, ReasonAttempts, ReasonNoTenant, ReasonBadTenant, ReasonNoRoute, ReasonTooLarge, ReasonCrash, ReasonBadCopy,
}

type reasonCounters [len(reasons)]counter

func (r *reasonCounters) add(reason Reason) {
	for i := range reasons {
		if reasons[i] == reason {
			r[i].Add(1)
			return
		}
	}
}

func (r *reasonCounters) snapshot() map[Reason]uint64 {
	m := make(map[Reason]uint64, len(reasons))
	for i := range reasons {
		if n := r[i].Load(); n > 0 {
			m[reasons[i]] = n
		}
	}
	return m
}
