package flow

import (
	"sync/atomic"
	"time"
)

// waitBounds are the upper bounds of the buckets of every Histogram.
var waitBounds = [...]time.Duration{
	10 * time.Microsecond, 100 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second, time.Minute,
}

// Histogram is durations that were counted, as plain data.
type Histogram struct {
	Bounds []time.Duration // upper bounds of the buckets, inclusive, ascending
	Counts []uint64        // durations in each bucket alone; the last is for those above all Bounds
	Sum    time.Duration   // of all durations
}

// Count is the number of durations.
func (h Histogram) Count() uint64 {
	var n uint64
	for _, c := range h.Counts {
		n += c
	}
	return n
}

// histogram is safe for concurrent use. A reader may see a duration in its bucket and not
// yet in the sum.
type histogram struct {
	counts [len(waitBounds) + 1]atomic.Uint64
	sum    atomic.Int64 // nanoseconds
}

func (h *histogram) observe(d time.Duration) {
	i := 0
	for i < len(waitBounds) && d > waitBounds[i] {
		i++
	}
	h.counts[i].Add(1)
	h.sum.Add(int64(max(d, 0)))
}

// snapshot adds zeros, the durations that were 0 and that nobody has observed.
func (h *histogram) snapshot(zeros uint64) Histogram {
	bounds := waitBounds // a copy: the caller may do with it what it likes
	s := Histogram{Bounds: bounds[:], Counts: make([]uint64, len(h.counts)), Sum: time.Duration(h.sum.Load())}
	for i := range h.counts {
		s.Counts[i] = h.counts[i].Load()
	}
	s.Counts[0] += zeros
	return s
}
