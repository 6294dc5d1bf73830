package limiter

import (
	"math"
	"time"
)

// A measure is what calls cost at one limit.
type measure struct {
	n, drops              int
	sum, squares, dropped float64
}

func (m *measure) add(w window) {
	m.n += w.n
	m.drops += w.drops
	m.sum += w.sum
	m.squares += w.squares
	m.dropped += w.dropped
}

// mean is the mean time of a success.
func (m measure) mean() float64 {
	if m.n == 0 {
		return 0
	}
	return m.sum / float64(m.n)
}

// cost is how long permits were out for each success: by Little's law what the limit is
// divided by, to give successes a second. Drops are in it as time that was spent, and
// nothing is learned from how long they took.
func (m measure) cost() float64 {
	if m.n == 0 {
		return math.Inf(1)
	}
	return max((m.sum+m.dropped)/float64(m.n), 1e-9)
}

// err is the relative standard error of cost.
func (m measure) err() float64 {
	if m.n < 2 {
		return 1
	}
	n, mean := float64(m.n), m.mean()
	variance := max(0, m.squares/n-mean*mean)
	return math.Sqrt((variance/(mean*mean+1e-18) + float64(m.drops)/n) / n)
}

// ratio is the cost of m over that of o, and the standard error of its logarithm.
func (m measure) ratio(o measure) (ratio, err float64) {
	return m.cost() / o.cost(), math.Hypot(m.err(), o.err())
}

// differs reports whether calls cost so much more or less in w that the downstream has
// changed.
func (m measure) differs(w window) (up, news bool) {
	var o measure
	o.add(w)
	if m.n == 0 || o.n == 0 {
		return false, false
	}
	ratio, err := o.ratio(m)
	change := math.Log(ratio)
	return change > 0, math.Abs(change) > max(math.Log(surge), 4.5*err)
}

// A minimum is the least of the values of the last five to ten minutes.
type minimum struct {
	least, before float64 // 0: none
	since         int64
}

func (m *minimum) add(v float64, now int64) {
	if v <= 0 {
		return
	}
	if span := now - m.since; span < 0 || span > int64(5*time.Minute) {
		m.before, m.least, m.since = m.least, 0, now
	}
	if m.least == 0 || v < m.least {
		m.least = v
	}
}

func (m *minimum) value() float64 {
	if m.least == 0 || m.before > 0 && m.before < m.least {
		return m.before
	}
	return m.least
}

// A lid is a limit above which calls were dropped.
type lid struct {
	at    float64 // 0: none
	until int64
}

func (l *lid) under(limit float64, now int64) float64 {
	if l.at > 0 && now < l.until && l.until-now <= lidFor { // it is no longer if the clock was set back
		return min(limit, l.at)
	}
	return limit
}
