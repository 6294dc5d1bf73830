package consumer

import "sync/atomic"

// counter is a count that only rises.
type counter struct{ atomic.Uint64 }

// counters are a counter for each of a few keys that are known beforehand.
type counters[K comparable] struct {
	keys   []K
	counts []counter
}

func newCounters[K comparable](keys []K) counters[K] {
	return counters[K]{keys: keys, counts: make([]counter, len(keys))}
}

func (c *counters[K]) add(key K) {
	for i, k := range c.keys {
		if k == key {
			c.counts[i].Add(1)
			return
		}
	}
}

// snapshot returns the counts that are not zero.
func (c *counters[K]) snapshot() map[K]uint64 {
	m := make(map[K]uint64, len(c.keys))
	for i, k := range c.keys {
		if n := c.counts[i].Load(); n > 0 {
			m[k] = n
		}
	}
	return m
}

// outcomes are what settlements are counted by; the most frequent come first.
var outcomes = []Outcome{
	OutcomeAck, OutcomeSpill, OutcomeRetry, OutcomeDeadLetter, OutcomeDelay, OutcomeDrop, OutcomeHandBack, OutcomeLeaseLost, OutcomeSuspect,
}

// reasons are what dead letters are counted by.
var reasons = []Reason{
	ReasonPermanent, ReasonAttempts, ReasonNoTenant, ReasonBadTenant, ReasonNoRoute, ReasonTooLarge, ReasonCrash, ReasonBadCopy,
}
