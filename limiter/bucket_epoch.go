package limiter

import (
	"math"
	"math/big"
	"math/bits"
	"sync/atomic"
)

// A bucketEpoch is the time from one change of rate to the next. What accrues is counted
// from its base in units, which are fractions of a token so small that at least one
// accrues in a nanosecond, at rates down to one in five hours and where the burst leaves
// 64 bits enough. It succeeds itself before they overflow.
//
// Time is multiplied by the rate, rather than intervals added up, so that no rounding
// accumulates: what accrued between two times is off by less than a unit. The factor is
// the least that is not below the rate, off by 2⁻⁶² of it, so that the token that is due
// after a whole number of nanoseconds is there then.
type bucketEpoch struct {
	base    int64  // when nothing had accrued
	horizon int64  // ns after base that it lasts
	factor  uint64 // factor / 2^shift units accrue in a nanosecond
	shift   uint
	bits    uint  // 2^bits units are a token
	burst   int64 // in units
	first   int64 // units there when the epoch begins, if it has not begun

	// paid is how much will have accrued when all that was taken is paid for; sealedEpoch if
	// the epoch is over, or has not begun. What is below what has accrued is a full bucket.
	paid atomic.Int64
}

const (
	horizonUnits = 1 << 59 // that an epoch lasts, and that may be owed
	limitUnits   = 1 << 61 // that can be counted; far more than could be owed
	burstBits    = 58      // of a burst in units
	leastBits    = 24      // of a token: sub-nanoseconds at high rates
	mostBits     = 44      // of a token: leaves room for those who wait at low ones
	farAway      = 1 << 61 // 73 years in ns
	sealedEpoch  = math.MinInt64
)

// newBucketEpoch returns an epoch of r that has not begun.
func newBucketEpoch(r Rate) *bucketEpoch {
	perNano := r.perNano()
	_, interval := math.Frexp(1 / perNano)
	e := &bucketEpoch{bits: uint(min(max(leastBits, interval), mostBits, burstBits-bits.Len(uint(r.Burst))))}
	rate := math.Ldexp(perNano, int(e.bits))
	_, exponent := math.Frexp(rate)
	e.shift = uint(63 - exponent)
	e.factor = ceilOf(r, e.bits+e.shift)
	e.horizon = int64(min(horizonUnits/rate, 2*farAway))
	e.burst = e.units(r.Burst)
	e.first = e.burst
	e.paid.Store(sealedEpoch)
	return e
}

// ceilOf returns the rate of r in a nanosecond times 2^shift, rounded up.
func ceilOf(r Rate, shift uint) uint64 {
	events := new(big.Rat).SetFloat64(r.Events)
	num := new(big.Int).Lsh(events.Num(), shift)
	den := new(big.Int).Mul(events.Denom(), big.NewInt(int64(r.Per)))
	quotient, rest := num.DivMod(num, den, new(big.Int))
	if rest.Sign() > 0 {
		quotient.Add(quotient, big.NewInt(1))
	}
	return quotient.Uint64()
}

// again returns an epoch as e that has not begun.
func (e *bucketEpoch) again() *bucketEpoch {
	next := &bucketEpoch{horizon: e.horizon, factor: e.factor, shift: e.shift, bits: e.bits, burst: e.burst}
	next.paid.Store(sealedEpoch)
	return next
}

// begin starts e at base with so many units there, of an epoch with 2^bits to a token.
// What is more than the burst is lost, and so is what is less than a unit.
func (e *bucketEpoch) begin(base, there int64, bits uint) {
	e.base = base
	e.paid.Store(e.burst - e.atMost(there, bits))
}

// atMost converts units of 2^bits to a token.
func (e *bucketEpoch) atMost(there int64, bits uint) int64 {
	if bits > e.bits {
		there >>= bits - e.bits
	} else if up := e.bits - bits; there < e.burst>>up {
		there <<= up // if negative, what is owed to the line, which fits: see fit
	} else {
		there = e.burst
	}
	return min(there, e.burst)
}

// begun is about the current epoch, which is sealed only before it begins.
func (e *bucketEpoch) begun() bool { return e.paid.Load() != sealedEpoch }

// units returns how much n tokens are; n is at most the burst.
func (e *bucketEpoch) units(n int) int64 { return int64(n) << e.bits }

type bucketAnswer int

const (
	bucketTaken bucketAnswer = iota
	bucketEmpty
	bucketSealed // ask the epoch that follows
)

// take takes units if they are there at t.
func (e *bucketEpoch) take(t, units int64) bucketAnswer {
	accrued := e.accrued(t)
	for {
		paid := e.paid.Load()
		if paid == sealedEpoch {
			return bucketSealed
		}
		next := max(paid, accrued) + units
		if next-accrued > e.burst {
			return bucketEmpty
		}
		if e.paid.CompareAndSwap(paid, next) {
			return bucketTaken
		}
	}
}

// owe takes units that are not there yet. It returns false if the epoch is over.
func (e *bucketEpoch) owe(accrued, units int64) bool {
	for {
		paid := e.paid.Load()
		if paid == sealedEpoch {
			return false
		}
		if e.paid.CompareAndSwap(paid, max(paid, accrued)+units) {
			return true
		}
	}
}

// refund returns false if the epoch is over, or has not begun.
func (e *bucketEpoch) refund(units int64) bool {
	for {
		paid := e.paid.Load()
		if paid == sealedEpoch {
			return false
		}
		// Nothing that old makes a difference.
		if e.paid.CompareAndSwap(paid, max(paid-units, -limitUnits)) {
			return true
		}
	}
}

// tokens returns what there is, in units; negative: what is owed.
func (e *bucketEpoch) tokens(paid, accrued int64) int64 {
	return e.burst - max(paid-accrued, 0)
}

// accrued returns what has accrued from the base to t, rounded down. Before the base it is
// negative. So far away that it cannot be counted, it is more than could be owed.
func (e *bucketEpoch) accrued(t int64) int64 {
	since := t - e.base
	if since >= 0 {
		return int64(e.unitsIn(uint64(since)))
	}
	return ^int64(e.unitsIn(uint64(-since))) // -1 - units: rounded down, too
}

// due returns the first moment at which units have accrued, or one far away.
func (e *bucketEpoch) due(units int64) int64 {
	if units < 0 {
		return e.base - (e.nanosOf(uint64(-units)) - 1) // accrued rounds down
	}
	return e.base + e.nanosOf(uint64(units))
}

// unitsIn returns what accrues in so many nanoseconds, rounded down, limitUnits at most.
func (e *bucketEpoch) unitsIn(nanos uint64) uint64 {
	hi, lo := bits.Mul64(nanos, e.factor)
	if e.shift >= 64 {
		return min(hi>>(e.shift-64), limitUnits)
	}
	if hi>>e.shift != 0 {
		return limitUnits
	}
	return min(hi<<(64-e.shift)|lo>>e.shift, limitUnits)
}

// nanosOf returns how long units take to accrue, rounded up, and at most farAway.
func (e *bucketEpoch) nanosOf(units uint64) int64 {
	if math.Ldexp(float64(units)/float64(e.factor), int(e.shift)) >= farAway {
		return farAway
	}
	var hi, lo uint64 // units · 2^shift, which is below farAway · factor < 2^125
	if e.shift < 64 {
		hi, lo = units>>(64-e.shift), units<<e.shift
	} else {
		hi = units << (e.shift - 64)
	}
	nanos, rest := bits.Div64(hi, lo, e.factor)
	if rest > 0 {
		nanos++
	}
	return int64(nanos)
}
