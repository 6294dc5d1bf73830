package consumer

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/tenants"
)

// DownstreamState is one downstream.
type DownstreamState struct {
	Downstream string             `json:"downstream"` // "": of messages that had no route
	Queued     int                `json:"queued"`
	InFlight   int                `json:"in_flight"`
	Settled    map[Outcome]uint64 `json:"settled"`
	Overloads  uint64             `json:"overloads"`

	// Waiting is what keeps its messages from starting: one of the reasons that begin with
	// downstream_, or "".
	Waiting WaitReason `json:"waiting,omitempty"`
	Since   time.Time  `json:"since,omitzero"`
	Until   time.Time  `json:"until,omitzero"` // if time alone ends it

	Limit      *LimitState    `json:"limit,omitempty"`      // nil: none
	Breaker    *BreakerStatus `json:"breaker,omitempty"`    // nil: none
	RestsUntil time.Time      `json:"rests_until,omitzero"` // after nothing but overload answers

	Rate         string    `json:"rate,omitempty"`      // like 100/s; "": no bound
	RateShared   bool      `json:"rate_shared"`         // it holds for all processes together,
	RateDegraded bool      `json:"rate_degraded"`       // but is decided without the others at present
	RateUntil    time.Time `json:"rate_until,omitzero"` // when it lets the next message start, if not now
}

// LimitState is the concurrency limit of a downstream.
type LimitState struct {
	Algorithm string        `json:"algorithm"`
	Limit     int           `json:"limit"`
	Min       int           `json:"min"`
	Max       int           `json:"max"`
	Changed   time.Time     `json:"changed"` // when it last did,
	From      int           `json:"from"`    // from what,
	Why       string        `json:"why"`     // and why
	RTT       time.Duration `json:"rtt_ns,omitempty"`
	Succeeded uint64        `json:"succeeded"` // runs that it learned from
	Dropped   uint64        `json:"dropped"`   // and those that ended in overload or by their timeout
	Ignored   uint64        `json:"ignored"`   // those that told it nothing
}

// BreakerStatus is the breaker of a downstream.
type BreakerStatus struct {
	State        BreakerState `json:"state"`
	Since        time.Time    `json:"since,omitzero"` // zero: since the beginning
	Until        time.Time    `json:"until,omitzero"` // when a message will be tried
	Calls        int          `json:"calls"`          // of the window, while closed
	Failures     int          `json:"failures"`
	Slow         int          `json:"slow"`
	FailureRatio float64      `json:"failure_ratio"`
	SlowRatio    float64      `json:"slow_ratio"`
	Openings     int          `json:"openings"` // in a row
}

func (c *Consumer) downstreamStates(now time.Time) []DownstreamState {
	classes := maps.Collect(c.queues.Classes())
	states := make([]DownstreamState, 0, len(c.downstreams)+1)
	for _, d := range c.downstreams {
		states = append(states, d.snapshot(classes[d.name], now))
	}
	if settled := c.unrouted.snapshot(); len(settled) > 0 {
		states = append(states, DownstreamState{Settled: settled})
	}
	slices.SortFunc(states, func(a, b DownstreamState) int { return cmp.Compare(a.Downstream, b.Downstream) })
	return states
}

func (s *downstreamState) snapshot(class tenants.ClassStat, now time.Time) DownstreamState {
	state := DownstreamState{
		Downstream: s.name,
		Queued:     class.Queued,
		InFlight:   class.InFlight,
		Settled:    s.settled.snapshot(),
		Overloads:  s.overloads.Load(),
		Limit:      s.limitState(),
		Breaker:    s.breakerStatus(now),
	}
	state.Waiting, state.Since, state.Until = s.waiting(class.InFlight, class.Limit)
	if until := s.rest.end(); now.Before(until) {
		state.RestsUntil = until
	}
	if s.rate != nil {
		state.Rate, state.RateShared = s.rated.String(), s.shared
		state.RateDegraded = s.shared && degraded(s.rate)
		if at := s.tokenAt(now); now.Before(at) {
			state.RateUntil = at
		}
	}
	return state
}

func (s *downstreamState) limitState() *LimitState {
	if s.limiter == nil {
		return nil
	}
	st := s.limiter.Stat()
	state := &LimitState{
		Algorithm: string(st.Algorithm), Limit: st.Limit, Min: st.Min, Max: st.Max,
		Changed: st.Last.At, From: st.Last.Old, Why: string(st.Last.Why), RTT: st.RTT,
		Succeeded: st.Success, Dropped: st.Drop, Ignored: st.Ignore,
	}
	if st.Last.Why == limiter.Begun {
		state.From = st.Last.New
	}
	return state
}

func (s *downstreamState) breakerStatus(now time.Time) *BreakerStatus {
	if s.breaker == nil {
		return nil
	}
	st := s.breaker.SnapshotAt(now)
	return &BreakerStatus{
		State: BreakerState(st.State.String()), Since: st.Since, Until: st.Until,
		Calls: st.Calls, Failures: st.Failures, Slow: st.Slow,
		FailureRatio: st.FailureRatio, SlowRatio: st.SlowRatio, Openings: st.Openings,
	}
}
