package flow

import (
	"context"
	"fmt"
	"sync"
)

// LatestN is a buffer that never makes its writer wait: it holds the last n values, in the
// order they came, and drops the oldest for a new one. It is for what goes stale, such as
// readings, positions and prices. It is safe for concurrent use.
type LatestN[T any] struct {
	ready chan struct{} // holds a signal while there may be something for Next

	// mu guards what follows, for a few instructions at a time.
	mu      sync.Mutex
	ring    []T
	first   int // where the oldest is
	length  int
	dropped uint64
}

// maxLatest is room for more than anybody calls the latest; the ring is made at once.
const maxLatest = 1 << 24

// NewLatestN returns a LatestN for n values, from 1 to 16,777,216.
func NewLatestN[T any](n int) (*LatestN[T], error) {
	if err := within("n", n, 1, maxLatest); err != nil {
		return nil, fmt.Errorf("flow: NewLatestN: %w", err)
	}
	return &LatestN[T]{ready: make(chan struct{}, 1), ring: make([]T, n)}, nil
}

// Push adds v, and reports whether the oldest value was dropped for it. It never blocks.
func (l *LatestN[T]) Push(v T) (dropped bool) {
	dropped = l.put(v)
	l.signal()
	return dropped
}

func (l *LatestN[T]) put(v T) (dropped bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if dropped = l.length == len(l.ring); dropped {
		l.shift()
		l.dropped++
	}
	l.ring[(l.first+l.length)%len(l.ring)] = v
	l.length++
	return dropped
}

// TryNext takes the oldest value out, if there is one.
func (l *LatestN[T]) TryNext() (v T, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.length == 0 {
		return v, false
	}
	return l.shift(), true
}

// Next takes the oldest value out. It waits for one until ctx ends, and returns its error
// then. If several callers wait, each value goes to one of them.
func (l *LatestN[T]) Next(ctx context.Context) (T, error) {
	for {
		if v, ok := l.TryNext(); ok {
			if l.Len() > 0 {
				l.signal() // for another who waits: signals of several pushes are one
			}
			return v, nil
		}
		select {
		case <-l.ready:
		case <-ctx.Done():
			var none T
			return none, ctx.Err()
		}
	}
}

// Snapshot returns the values held, oldest first, and leaves them where they are.
func (l *LatestN[T]) Snapshot() []T {
	l.mu.Lock()
	defer l.mu.Unlock()
	values := make([]T, l.length)
	n := copy(values, l.ring[l.first:])
	copy(values[n:], l.ring)
	return values
}

// Len returns how many values are held.
func (l *LatestN[T]) Len() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.length
}

// Cap returns how many values are held at most.
func (l *LatestN[T]) Cap() int { return len(l.ring) }

// Dropped returns how many values were dropped for newer ones. What TryNext and Next took
// is not among them.
func (l *LatestN[T]) Dropped() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped
}

// shift takes the oldest out. It requires mu, and something to take.
func (l *LatestN[T]) shift() T {
	var none T
	v := l.ring[l.first]
	l.ring[l.first] = none // the collector may have it
	l.first = (l.first + 1) % len(l.ring)
	l.length--
	return v
}

func (l *LatestN[T]) signal() {
	select {
	case l.ready <- struct{}{}:
	default: // there is one
	}
}
