package flow

import (
	"math"
	"math/bits"
	"time"
)

const (
	stepBits   = 4 // a power of two is 16 buckets: each is 1/16 wide at most
	steps      = 1 << stepBits
	buckets    = (64 - stepBits) * steps
	generation = 1000
	enough     = 20 // times, until a quantile means something
	refresh    = 10 // times, after which the quantile is looked for again: that takes 0.5 µs
)

// times are how long calls took: a histogram of the last one to two generations of them.
type times struct {
	now, past     [buckets]uint32
	count, before int // in now, and in past
}

func (t *times) add(d time.Duration) {
	if t.count == generation {
		t.past, t.before = t.now, t.count
		t.now, t.count = [buckets]uint32{}, 0
	}
	t.now[bucketOf(d)]++
	t.count++
}

// quantile returns the upper bound of the bucket in which q of all times are.
func (t *times) quantile(q float64) (time.Duration, bool) {
	if t.count+t.before < enough {
		return 0, false
	}
	rank := int(math.Ceil(q * float64(t.count+t.before)))
	for i := range buckets {
		rank -= int(t.now[i] + t.past[i])
		if rank <= 0 {
			return boundOf(i), true
		}
	}
	return boundOf(buckets - 1), true
}

// bucketOf goes by the highest bits: those of the power of two, and stepBits more. Below
// 2·steps ns each nanosecond is a bucket.
func bucketOf(d time.Duration) int {
	n := uint64(max(d, 0))
	shift := max(0, bits.Len64(n)-stepBits-1)
	return shift*steps + int(n>>shift)
}

// boundOf returns the largest duration of bucket i.
func boundOf(i int) time.Duration {
	shift := max(0, i/steps-1)
	n := uint64(i - shift*steps)
	return time.Duration(min((n+1)<<shift-1, math.MaxInt64))
}

// whole is one hedge in the units of a budget.
const whole = 1_000_000

// budget is a token bucket filled by calls instead of by time: spent <= burst + earned.
type budget struct {
	has, most, each int64
}

func newBudget(perCall float64, burst int) budget {
	most := int64(burst) * whole
	return budget{has: most, most: most, each: int64(math.Floor(perCall * whole))}
}

func (b *budget) earn() { b.has = min(b.has+b.each, b.most) }

func (b *budget) spend() bool {
	if b.has < whole {
		return false
	}
	b.has -= whole
	return true
}
