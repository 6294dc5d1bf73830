package breaker

import (
	"math"
	"slices"
	"time"
)

// counts are sums over results.
type counts struct{ calls, failures, slow int }

func (c *counts) add(o counts) {
	c.calls += o.calls
	c.failures += o.failures
	c.slow += o.slow
}

func (c *counts) sub(o counts) {
	c.calls -= o.calls
	c.failures -= o.failures
	c.slow -= o.slow
}

// A verdict is what is remembered of one result.
type verdict uint8

const (
	failed verdict = 1 << iota
	slow
)

func (v verdict) counts() counts {
	return counts{calls: 1, failures: int(v & failed), slow: int(v >> 1)}
}

// A window sums up the last results. Time never goes back in it.
type window interface {
	add(t int64, v verdict) counts // the sum, v included
	succeed(n int64)               // adds successes at the time of the last result
	end() int64                    // when the successes to come are another bucket's
	sum(t int64) counts            // changes nothing, t may be any time to come
	setBack(back int64)            // all times in it
	clear()
}

func (c Config) window() window {
	if c.Calls > 0 {
		return &countWindow{last: make([]verdict, 0, c.Calls)}
	}
	width := min(time.Second, c.Window/10)
	return &timeWindow{width: int64(width), buckets: make([]counts, (c.Window+width-1)/width)}
}

const never = math.MaxInt64

// A countWindow is a ring of the last results.
type countWindow struct {
	last  []verdict // full at its capacity
	next  int       // to be overwritten then
	total counts
}

func (w *countWindow) add(_ int64, v verdict) counts {
	if len(w.last) < cap(w.last) {
		w.last = append(w.last, v)
	} else {
		w.total.sub(w.last[w.next].counts())
		w.last[w.next] = v
		if w.next++; w.next == len(w.last) {
			w.next = 0
		}
	}
	w.total.add(v.counts())
	return w.total
}

func (w *countWindow) succeed(n int64) {
	for range min(n, int64(cap(w.last))) {
		w.add(0, 0)
	}
}

func (w *countWindow) end() int64 { return never }

func (w *countWindow) sum(int64) counts { return w.total }

func (w *countWindow) setBack(int64) {}

func (w *countWindow) clear() { *w = countWindow{last: w.last[:0]} }

// A timeWindow is a ring of buckets, which follow each other without a gap.
type timeWindow struct {
	width   int64 // of a bucket, ns
	buckets []counts
	current int   // the bucket that fills
	until   int64 // end of the current bucket
	begun   bool  // the first result says when buckets begin
	total   counts
}

func (w *timeWindow) add(t int64, v verdict) counts {
	if t >= w.until || !w.begun {
		w.advance(t)
	}
	w.buckets[w.current].add(v.counts())
	w.total.add(v.counts())
	return w.total
}

func (w *timeWindow) succeed(n int64) {
	w.buckets[w.current].calls += int(n)
	w.total.calls += int(n)
}

func (w *timeWindow) end() int64 { return w.until }

func (w *timeWindow) sum(t int64) counts {
	if !w.begun || t < w.until {
		return w.total
	}
	at := timeWindow{width: w.width, buckets: slices.Clone(w.buckets), current: w.current, until: w.until, begun: true, total: w.total}
	at.advance(t)
	return at.total
}

// advance makes the bucket of t the current one.
func (w *timeWindow) advance(t int64) {
	if !w.begun {
		w.begun, w.until = true, t+w.width
		return
	}
	steps := (t-w.until)/w.width + 1
	w.until += steps * w.width
	if steps >= int64(len(w.buckets)) {
		clear(w.buckets)
		w.total = counts{}
		return
	}
	for range steps {
		if w.current++; w.current == len(w.buckets) {
			w.current = 0
		}
		w.total.sub(w.buckets[w.current])
		w.buckets[w.current] = counts{}
	}
}

func (w *timeWindow) setBack(back int64) { w.until = earlier(w.until, back) }

func (w *timeWindow) clear() {
	clear(w.buckets)
	*w = timeWindow{width: w.width, buckets: w.buckets}
}
