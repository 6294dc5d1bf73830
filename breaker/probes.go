package breaker

import (
	"math"
	"slices"
	"time"
)

// Probes are the calls that a half-open breaker has admitted. Their times only go back with the clock.
type probes struct {
	out       []probe // in the order of their starts
	last      uint64  // id; 0 is no probe
	succeeded int
}

type probe struct {
	id       uint64
	deadline int64 // when it gives up its place
}

func (p *probes) clear() { p.out, p.succeeded = p.out[:0], 0 }

// free returns how many more may start at t.
func (p *probes) free(t int64, places int) int {
	places -= p.succeeded
	for _, o := range p.out {
		if o.deadline > t {
			places--
		}
	}
	return max(0, places)
}

func (p *probes) start(t int64, timeout time.Duration) (id uint64) {
	p.out = slices.DeleteFunc(p.out, func(o probe) bool { return o.deadline <= t })
	p.last++
	p.out = append(p.out, probe{p.last, t + int64(timeout)})
	return p.last
}

// end does nothing for one that has given up its place.
func (p *probes) end(id uint64) {
	p.out = slices.DeleteFunc(p.out, func(o probe) bool { return o.id == id })
}

// setBack sets back the deadlines.
func (p *probes) setBack(back int64) {
	for i := range p.out {
		p.out[i].deadline = earlier(p.out[i].deadline, back)
	}
}

// deadline returns when the next gives up its place. It requires that none is free at t.
func (p *probes) deadline(t int64) int64 {
	first := int64(math.MaxInt64)
	for _, o := range p.out {
		if o.deadline > t {
			first = min(first, o.deadline)
		}
	}
	return first
}
