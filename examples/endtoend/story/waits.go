package story

import (
	"math"
	"time"
)

// Buckets grow by a twentieth, from 100 µs to more than an hour.
const (
	buckets     = 360
	bucketStart = 100 * time.Microsecond
	bucketRatio = 1.05
)

// waits is a histogram of durations. The zero waits is empty.
type waits struct {
	n      uint64
	counts [buckets]uint32
}

func (w *waits) add(d time.Duration) {
	i := 0
	if d > bucketStart {
		i = min(int(math.Log(float64(d)/float64(bucketStart))/math.Log(bucketRatio))+1, buckets-1)
	}
	w.counts[i]++
	w.n++
}

// quantile returns the end of the bucket that the quantile is in, 0 if there is none.
func (w *waits) quantile(q float64) time.Duration {
	rank := int(math.Ceil(q * float64(w.n)))
	for i, n := range w.counts {
		if rank -= int(n); rank <= 0 && w.n > 0 {
			return time.Duration(float64(bucketStart) * math.Pow(bucketRatio, float64(i)))
		}
	}
	return 0
}

// join adds all of other.
func (w *waits) join(other *waits) {
	w.n += other.n
	for i, n := range other.counts {
		w.counts[i] += n
	}
}
