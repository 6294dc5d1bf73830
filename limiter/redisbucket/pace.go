package redisbucket

import "math"

// A pace foretells how many tokens of a key are used in one quantum, from those used in the
// last. The zero pace has seen nothing.
type pace struct {
	began int64   // when the sample began
	used  int64   // since then
	last  float64 // what the sample before foretold
}

// foretold returns how many tokens the quantum after now is likely to use. A sample that is
// shorter than a quantum says the least that it may be.
func (p *pace) foretold(now, quantum int64) float64 {
	if elapsed := now - p.began; elapsed >= quantum {
		return float64(p.used) * float64(quantum) / float64(elapsed)
	}
	return max(float64(p.used), p.last)
}

// renew begins a new sample if the one there is is long enough.
func (p *pace) renew(now, quantum int64) {
	if now-p.began >= quantum {
		p.last = p.foretold(now, quantum)
		p.began, p.used = now, 0
	}
}

// ask returns how many tokens to fetch, of which some are needed.
func (p *pace) ask(now, quantum, needed, most int64) int64 {
	n := int64(math.Ceil(min(p.foretold(now, quantum), float64(most))))
	return min(max(n, needed), max(most, 1))
}

// low returns at how many tokens left the next are to be fetched, before anybody has to wait
// for them; -1 is never. A key of which less than two are used in a quantum is not worth it:
// what is fetched for it beforehand might not be used at all.
func (p *pace) low(now, quantum int64) int64 {
	n := p.foretold(now, quantum)
	if n < 2 {
		return -1
	}
	return int64(n / 2)
}
