package metrics

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// The upper bounds of the buckets; see the package comment.
var (
	shortBounds = []time.Duration{
		100 * time.Microsecond, 250 * time.Microsecond, 500 * time.Microsecond,
		time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
		10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
		100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
		time.Second, 2500 * time.Millisecond, 5 * time.Second,
		10 * time.Second, 30 * time.Second, time.Minute, 5 * time.Minute, 10 * time.Minute,
	}
	longBounds = append(shortBounds[3:len(shortBounds):len(shortBounds)],
		30*time.Minute, time.Hour, 6*time.Hour, 24*time.Hour)
)

// maxBuckets is the room for the longest bounds and what is above them.
const maxBuckets = 22

// histogram counts durations. The number of observations is the sum of the buckets,
// which saves an addition; a scrape may see an observation in a bucket and not yet
// in the sum.
type histogram struct {
	buckets [maxBuckets]atomic.Uint64
	sum     atomic.Int64 // nanoseconds
}

// observe counts d, which a clock that was set back may make negative, as at least 0.
func (h *histogram) observe(bounds []time.Duration, d time.Duration) {
	d = max(d, 0)
	h.buckets[bucketOf(bounds, d)].Add(1)
	h.sum.Add(int64(d))
}

// bucketOf goes by comparison from below: most durations are short, and for 20 bounds
// that beats a binary search.
func bucketOf(bounds []time.Duration, d time.Duration) int {
	for i, bound := range bounds {
		if d <= bound {
			return i
		}
	}
	return len(bounds)
}

func (h *histogram) empty() bool {
	for i := range h.buckets {
		if h.buckets[i].Load() > 0 {
			return false
		}
	}
	return true
}

func (r *rows) histogram(d *prometheus.Desc, bounds []time.Duration, h *histogram, labels ...string) {
	var count uint64
	cumulative := make(map[float64]uint64, len(bounds))
	for i, bound := range bounds {
		count += h.buckets[i].Load()
		cumulative[bound.Seconds()] = count
	}
	count += h.buckets[len(bounds)].Load()
	sum := time.Duration(h.sum.Load()).Seconds()
	r.add(prometheus.NewConstHistogram(d, count, sum, cumulative, labels...))
}
