package consumer

import (
	"sync/atomic"
)

// tally counts what is held, and tells when nothing is. Unlike a WaitGroup it may
// rise from zero while somebody waits.
type tally struct {
	n    atomic.Int64
	zero chan struct{} // one place; poked when n falls to zero
}

func newTally() tally { return tally{zero: make(chan struct{}, 1)} }

func (t *tally) Add(n int64) { t.n.Add(n) }

func (t *tally) sub(n int64) {
	if n > 0 && t.n.Add(-n) == 0 {
		select {
		case t.zero <- struct{}{}:
		default:
		}
	}
}

func (t *tally) Load() int64 { return t.n.Load() }
