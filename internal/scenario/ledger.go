package scenario

import "sync/atomic"

// A ledger counts how often each message of a stream was handled, by its sequence. It is
// safe for concurrent use.
type ledger struct {
	times   []atomic.Int32 // by sequence
	handled atomic.Int64   // messages, each once
	again   atomic.Int64   // runs beyond the first of each
	strange atomic.Int64   // runs of sequences that cannot be
}

// newLedger is for sequences up to last.
func newLedger(last int) *ledger { return &ledger{times: make([]atomic.Int32, last+1)} }

// note counts a run, and reports whether it is the first of its message.
func (l *ledger) note(seq uint64) bool {
	if seq == 0 || seq >= uint64(len(l.times)) {
		l.strange.Add(1)
		return false
	}
	if l.times[seq].Add(1) == 1 {
		l.handled.Add(1)
		return true
	}
	l.again.Add(1)
	return false
}
