package consumer

import (
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

// WaitReason is why a tenant that has messages here is waiting.
type WaitReason string

// The reasons.
const (
	WaitTurn              WaitReason = "turn"               // others are due before it
	WaitWorkers           WaitReason = "workers"            // it is the next; all workers are busy
	WaitCap               WaitReason = "cap"                // as many of its messages run as its MaxInFlight allows
	WaitRate              WaitReason = "rate"               // its Rate
	WaitPaused            WaitReason = "paused"             // it is paused
	WaitBackoff           WaitReason = "backoff"            // an overload answer to the message at the head of its queue
	WaitDownstreamLimit   WaitReason = "downstream_limit"   // as many messages run for its downstream as the limit allows
	WaitDownstreamBreaker WaitReason = "downstream_breaker" // the breaker of its downstream is not closed
	WaitDownstreamRest    WaitReason = "downstream_rest"    // its downstream rests after nothing but overload answers
	WaitDownstreamRate    WaitReason = "downstream_rate"    // the rate of its downstream
)

// Waiting says why messages wait. Of a tenant that waits for several downstreams, it is
// about the oldest message.
type Waiting struct {
	For        WaitReason `json:"for"`
	Downstream string     `json:"downstream"`
	Since      time.Time  `json:"since"`          // since when nothing has started that could have
	Until      time.Time  `json:"until,omitzero"` // if time alone ends it
}

// waitingOf returns why a tenant waits, nil if it does not.
func (c *Consumer) waitingOf(stat tenants.Stat) *Waiting {
	var oldest tenants.QueueStat
	var class string
	for name, q := range stat.Classes() {
		if q.Waits != "" && (oldest.Waits == "" || q.Oldest.Before(oldest.Oldest)) {
			oldest, class = q, name
		}
	}
	if oldest.Waits == "" {
		return nil
	}
	w := &Waiting{Downstream: class, Since: oldest.Since, Until: oldest.NotBefore}
	switch oldest.Waits {
	case tenants.WaitPaused:
		w.For = WaitPaused
	case tenants.WaitCap:
		w.For = WaitCap
	case tenants.WaitRate:
		w.For = WaitRate
	case tenants.WaitDelayed:
		w.For = WaitBackoff
	case tenants.WaitLimit:
		w.For = WaitDownstreamLimit
	case tenants.WaitClosed:
		w.For, w.Until = c.closed(class)
	case tenants.WaitTurn:
		w.For = WaitTurn
	default:
		w.For = WaitWorkers
	}
	return w
}

// closed returns why the gate of a downstream is closed.
func (c *Consumer) closed(name string) (WaitReason, time.Time) {
	d := c.downstreams.get(name)
	if d == nil {
		return WaitTurn, time.Time{}
	}
	s := d.gate.standing()
	switch {
	case s.by == byBreaker:
		return WaitDownstreamBreaker, s.until
	case s.by == byRest:
		return WaitDownstreamRest, s.until
	case d.guards.Load().rate != nil:
		return WaitDownstreamRate, s.until
	}
	return WaitTurn, time.Time{} // it has opened since
}

// waiting returns what stands in the way of a downstream, "" if nothing does. running is
// how many of its messages run.
func (s *downstreamState) waiting(running, limit int) (why WaitReason, since, until time.Time) {
	st := s.gate.standing()
	switch {
	case st.by == byBreaker:
		return WaitDownstreamBreaker, st.since, st.until
	case st.by == byRest:
		return WaitDownstreamRest, st.since, st.until
	case st.by == byRate:
		return WaitDownstreamRate, st.since, st.until
	case limit > 0 && running >= limit:
		return WaitDownstreamLimit, time.Time{}, time.Time{}
	}
	return "", time.Time{}, time.Time{}
}
