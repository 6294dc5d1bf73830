package tenants

import "math/bits"

// depths counts the queues by the size of their depth, in powers of two, so that about
// how deep the deepest is can be told without looking at any. A queue moves to another
// count only when its depth passes a power of two.
type depths struct {
	counts [bits.UintSize + 1]int // by bits.Len of the depth
	top    int                    // the highest with a count; 0: all are empty
}

// rose is for a queue that now has n items, one more than before.
func (d *depths) rose(n int) {
	if n&(n-1) != 0 {
		return
	}
	size := bits.Len(uint(n))
	d.counts[size]++
	d.counts[size-1]--
	d.top = max(d.top, size)
}

// fell is for a queue that had n items, one more than now.
func (d *depths) fell(n int) {
	if n&(n-1) != 0 {
		return
	}
	size := bits.Len(uint(n))
	d.counts[size]--
	d.counts[size-1]++
	for d.top > 0 && d.counts[d.top] == 0 {
		d.top--
	}
}
