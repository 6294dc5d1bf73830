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
// after a whole number of nanoseconds is there then. What had accrued of the next unit
// goes over into the epoch that follows: nobody can tell when one ends.
type bucketEpoch struct {
	base    int64  // when no unit had accrued
	horizon int64  // ns after base that it lasts
	factor  uint64 // factor / 2^shift units accrue in a nanosecond
	shift   uint
	bits    uint  // 2^bits units are a token
	burst   int64 // in units
	first   int   // tokens there when the epoch begins, if it has not begun

	partHi, partLo uint64 // 128 bits: the 2^-shift-ths of a unit that had accrued at base

	// paid is how much will have accrued when all that was taken is paid for; sealedEpoch if
	// the epoch is over, or has not begun. What is below what has accrued is a full bucket.
	paid atomic.Int64
}

const (
	horizonUnits = 1 << 59               // that an epoch lasts, and that may be owed
	limitUnits   = 1 << (64 - limitLess) // that can be counted; far more than could be owed
	limitLess    = 3
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
	e.first = r.Burst
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

// begin starts e at base with so many tokens there.
func (e *bucketEpoch) begin(base int64, there int) {
	e.base = base
	e.paid.Store(e.burst - e.units(there))
}

// follow starts e at base with what was there of old, in its units and what it had of the
// next. What is more than the burst is lost. What is negative is owed to the line, and can
// be counted: see fit.
func (e *bucketEpoch) follow(old *bucketEpoch, base, there int64) {
	hi, lo := old.part(base)
	fine := new(big.Int).SetUint64(hi)
	fine.Or(fine.Lsh(fine, 64), new(big.Int).SetUint64(lo))
	fine.Add(fine, new(big.Int).Lsh(big.NewInt(there), old.shift))
	if up := int(e.bits+e.shift) - int(old.bits+old.shift); up >= 0 {
		fine.Lsh(fine, uint(up))
	} else {
		fine.Rsh(fine, uint(-up))
	}
	units := new(big.Int).Rsh(fine, e.shift)
	part := fine.Sub(fine, new(big.Int).Lsh(units, e.shift))
	e.partLo = part.Uint64()
	e.partHi = part.Rsh(part, 64).Uint64()
	there = e.burst
	if units.IsInt64() {
		there = min(units.Int64(), e.burst)
	}
	e.base = base
	e.paid.Store(e.burst - there)
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

// fine returns what has accrued from the base to t in 2^-shift-ths of a unit: a number of
// 128 bits with its sign, negative before the base.
func (e *bucketEpoch) fine(t int64) (hi, lo uint64) {
	since := t - e.base
	hi, lo = bits.Mul64(uint64(since), e.factor)
	hi -= e.factor & uint64(since>>63) // what the sign of since counted for
	lo, carry := bits.Add64(lo, e.partLo, 0)
	return hi + e.partHi + carry, lo
}

// part returns what has accrued of the next unit at t, as partHi and partLo.
func (e *bucketEpoch) part(t int64) (hi, lo uint64) {
	hi, lo = e.fine(t)
	if e.shift >= 64 {
		return hi & (1<<(e.shift-64) - 1), lo
	}
	return 0, lo & (1<<e.shift - 1)
}

// accrued returns what has accrued from the base to t, rounded down. Before the base it is
// negative. So far away that it cannot be counted, it is more than could be owed.
func (e *bucketEpoch) accrued(t int64) int64 {
	hi, lo := e.fine(t)
	shift := e.shift // 38 at least, at the highest rate
	if shift >= 64 {
		return min(max(int64(hi)>>(shift-64), -limitUnits), limitUnits)
	}
	switch beyond := int64(hi) >> (shift - limitLess); {
	case beyond > 0:
		return limitUnits
	case beyond < -1:
		return -limitUnits
	}
	return int64(hi<<(64-shift) | lo>>shift)
}

// due returns the first moment at which units have accrued, or one far away.
func (e *bucketEpoch) due(units int64) int64 {
	switch about := math.Ldexp(float64(units)/float64(e.factor), int(e.shift)); {
	case about >= farAway:
		return e.base + farAway
	case about <= -farAway:
		return e.base - farAway
	}
	// units · 2^shift less what was there at base is below farAway · factor < 2^125.
	hi, lo := uint64(units>>63), uint64(units)
	if e.shift < 64 {
		hi, lo = hi<<e.shift|lo>>(64-e.shift), lo<<e.shift
	} else {
		hi, lo = lo<<(e.shift-64), 0
	}
	lo, borrow := bits.Sub64(lo, e.partLo, 0)
	hi -= e.partHi + borrow
	if int64(hi) < 0 { // rounded towards the base, which is up
		lo, borrow = bits.Sub64(0, lo, 0)
		nanos, _ := bits.Div64(-hi-borrow, lo, e.factor)
		return e.base - int64(nanos)
	}
	nanos, rest := bits.Div64(hi, lo, e.factor)
	if rest > 0 {
		nanos++
	}
	return e.base + int64(nanos)
}
