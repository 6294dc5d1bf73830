package redisbucket

import (
	"math"
	"strconv"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// terms are a rate worked out; they are never changed.
type terms struct {
	rate     limiter.Rate // with its burst
	perNano  float64
	capacity int64 // of the bucket in Redis

	perMicroArg, capacityArg string // for the script
}

// newTerms returns the terms of r, or all that is wrong with it. The bucket must hold what
// accrues while nobody asks Redis, or the rate could not be had with a small burst: half of
// the lease is for that, the other half for the age of tokens that were taken.
func newTerms(r limiter.Rate, lease time.Duration) (*terms, error) {
	b, err := limiter.NewTokenBucket(r)
	if err != nil {
		return nil, err
	}
	r = b.Snapshot().Rate // with its defaults
	t := &terms{rate: r, perNano: r.Events / float64(r.Per)}
	t.capacity = max(int64(r.Burst), int64(t.perNano*float64(lease/2)))
	t.perMicroArg = strconv.FormatFloat(t.perNano*1e3, 'g', 17, 64)
	t.capacityArg = strconv.FormatInt(t.capacity, 10)
	return t, nil
}

// accrued returns what accrues in so many nanoseconds.
func (t *terms) accrued(nanos int64) float64 { return float64(max(nanos, 0)) * t.perNano }

// nanos returns how long n tokens take to accrue.
func (t *terms) nanos(n int64) int64 {
	return int64(math.Min(math.Ceil(float64(n)/t.perNano), farAway))
}

// share is what one of n processes may admit on its own.
func (t *terms) share(n int) limiter.Rate {
	const slowest = 366 * 24 * time.Hour // that a rate can be
	r := t.rate
	r.Events = max(r.Events/float64(n), float64(r.Per)/float64(slowest))
	r.Burst = max(1, r.Burst/n)
	return r
}
