package scenario

import (
	"sync/atomic"
	"time"
)

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

// ran reports whether the message was handled.
func (l *ledger) ran(seq uint64) bool { return l.times[seq].Load() > 0 }

// A stopwatch adds up how long handlers ran inside a window, by name. It is for runs that may
// begin before the window and end after it.
type stopwatch struct {
	from, to atomic.Int64 // unix nanoseconds; 0: not yet
}

// part returns how much of a run lies in the window.
func (w *stopwatch) part(began, ended time.Time) time.Duration {
	from, to := w.from.Load(), w.to.Load()
	if from == 0 {
		return 0
	}
	first, last := max(began.UnixNano(), from), ended.UnixNano()
	if to != 0 {
		last = min(last, to)
	}
	return time.Duration(max(last-first, 0))
}
