package consumer

import "slices"

// Outcomes returns all outcomes, the most frequent first.
func Outcomes() []Outcome { return slices.Clone(outcomes) }

// Reasons returns all reasons for which a message is dead-lettered.
func Reasons() []Reason { return slices.Clone(reasons) }

// Results returns all results of a run, the most frequent first.
func Results() []Result {
	return []Result{
		ResultSuccess, ResultError, ResultPanic, ResultTimeout, ResultOverloaded, ResultDeadLetter, ResultCanceled,
	}
}

// PauseReasons returns all reasons for which a lane does not pull.
func PauseReasons() []PauseReason {
	return []PauseReason{
		PauseDisconnected, PauseConsumer, PauseBackoff, PauseMoves, PauseHold, PauseBuffer,
		PauseEmpty, PauseQueue, PauseWorkers, PauseBreaker, PauseRest,
	}
}

// BreakerStates returns all states of a breaker.
func BreakerStates() []BreakerState {
	return []BreakerState{BreakerClosed, BreakerOpen, BreakerHalfOpen}
}

// WaitReasons returns all reasons for which a tenant waits.
func WaitReasons() []WaitReason {
	return []WaitReason{
		WaitTurn, WaitWorkers, WaitCap, WaitRate, WaitPaused, WaitBackoff,
		WaitDownstreamLimit, WaitDownstreamBreaker, WaitDownstreamRest, WaitDownstreamRate,
	}
}

// OverflowPolicies returns all policies, the default first.
func OverflowPolicies() []OverflowPolicy {
	return []OverflowPolicy{OverflowSpill, OverflowDelay, OverflowDrop, OverflowHold}
}

// MaxTenantBytes bounds the name of a tenant, and what of a longer one is kept with a
// dead letter.
const MaxTenantBytes = maxTenantBytes

// ValidTenant reports whether name is taken for the name of a tenant: at most
// MaxTenantBytes of UTF-8 without control characters, and not empty. A message whose
// tenant has another name is dead-lettered, as bad_tenant or no_tenant.
func ValidTenant(name string) bool { return name != "" && validTenant(name) }
