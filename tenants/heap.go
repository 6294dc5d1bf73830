package tenants

import (
	"math"
	"math/bits"
)

// A key orders a heap: by rank, and among equal ranks by order. Heaps of times leave rank
// zero and put the time in order.
type key struct {
	rank  uint64 // of a tag, see rankOf
	order uint64
}

// before is 1 if k comes before o, and otherwise 0. It is arithmetic and not a choice,
// since which of the children of a heap is least can not be predicted.
func (k key) before(o key) uint64 {
	_, less := bits.Sub64(k.order, o.order, 0)
	_, less = bits.Sub64(k.rank, o.rank, less)
	return less
}

// rankOf maps tags to integers of the same order.
func rankOf(tag float64) uint64 {
	b := math.Float64bits(tag + 0) // + 0: there is but one zero
	return b ^ (uint64(int64(b)>>63) | 1<<63)
}

// tagOf is the inverse of rankOf.
func tagOf(rank uint64) float64 {
	return math.Float64frombits(rank ^ (uint64(int64(^rank)>>63) | 1<<63))
}

type entry struct {
	key
	id int32
}

// A heap is an indexed 4-ary min-heap of small ids. Keys lie beside the ids and the
// index is an array, so that moving an entry touches nothing but the heap itself.
type heap struct {
	entries []entry
	at      []int32 // at[id] is one more than the place of id in entries; 0: absent
}

func (h *heap) has(id int32) bool {
	return int(id) < len(h.at) && h.at[id] != 0
}

// put inserts id, or moves it to where k belongs.
func (h *heap) put(id int32, k key) {
	if h.has(id) {
		i := int(h.at[id]) - 1
		e := entry{k, id}
		if k.before(h.entries[i].key) == 1 {
			h.up(i, e)
		} else {
			h.down(i, e)
		}
		return
	}
	for int(id) >= len(h.at) {
		h.at = append(h.at, 0)
	}
	h.entries = append(h.entries, entry{})
	h.up(len(h.entries)-1, entry{k, id})
}

// remove takes id out, if it is in.
func (h *heap) remove(id int32) {
	if !h.has(id) {
		return
	}
	i := int(h.at[id]) - 1
	h.at[id] = 0
	n := len(h.entries) - 1
	last, gone := h.entries[n], h.entries[i]
	h.entries = h.entries[:n]
	switch {
	case i == n:
	case last.before(gone.key) == 1:
		h.up(i, last)
	default:
		h.down(i, last)
	}
}

// up places e at i or at the ancestor of i where it belongs.
func (h *heap) up(i int, e entry) {
	for i > 0 {
		parent := (i - 1) / 4
		p := h.entries[parent]
		if e.before(p.key) == 0 {
			break
		}
		h.set(i, p)
		i = parent
	}
	h.set(i, e)
}

// down places e at i or at the descendant of i where it belongs.
func (h *heap) down(i int, e entry) {
	for {
		first := 4*i + 1
		if first >= len(h.entries) {
			break
		}
		children := h.entries[first:min(first+4, len(h.entries))]
		least, k := uint64(0), children[0].key
		for c := 1; c < len(children); c++ {
			o := children[c].key
			less := -o.before(k) // all ones or all zeros
			least ^= (least ^ uint64(c)) & less
			k.rank ^= (k.rank ^ o.rank) & less
			k.order ^= (k.order ^ o.order) & less
		}
		if k.before(e.key) == 0 {
			break
		}
		h.set(i, children[least])
		i = first + int(least)
	}
	h.set(i, e)
}

func (h *heap) set(i int, e entry) {
	h.entries[i] = e
	h.at[e.id] = int32(i + 1)
}

// orderOf requires that id is in.
func (h *heap) orderOf(id int32) int64 { return int64(h.entries[h.at[id]-1].order) }

// sooner returns the lesser of due, if there is one, and the first of h, which is one of
// times.
func (h *heap) sooner(due int64, ok bool) (int64, bool) {
	if len(h.entries) == 0 {
		return due, ok
	}
	first := int64(h.entries[0].order)
	if ok {
		first = min(first, due)
	}
	return first, true
}

// shift subtracts d from every tag and restores the order, which rounding may have hurt.
func (h *heap) shift(d float64) {
	for i := range h.entries {
		h.entries[i].rank = rankOf(tagOf(h.entries[i].rank) - d)
	}
	for i := len(h.entries) - 1; i >= 0; i-- {
		h.down(i, h.entries[i])
	}
}
