package tenants

// A key orders a heap: by tag, and among equal tags by order. Heaps of times leave
// tag zero and put the time in order.
type key struct {
	tag   float64
	order uint64
}

func (k key) less(o key) bool {
	return k.tag < o.tag || k.tag == o.tag && k.order < o.order
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
		if k.less(h.entries[i].key) {
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
	case last.less(gone.key):
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
		if !e.less(p.key) {
			break
		}
		h.set(i, p)
		i = parent
	}
	h.set(i, e)
}

// down places e at i or at the descendant of i where it belongs.
func (h *heap) down(i int, e entry) {
	n := len(h.entries)
	for {
		first := 4*i + 1
		if first >= n {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, n); c++ {
			if h.entries[c].less(h.entries[least].key) {
				least = c
			}
		}
		if !h.entries[least].less(e.key) {
			break
		}
		h.set(i, h.entries[least])
		i = least
	}
	h.set(i, e)
}

func (h *heap) set(i int, e entry) {
	h.entries[i] = e
	h.at[e.id] = int32(i + 1)
}

// shift subtracts d from every tag and restores the order, which rounding may have hurt.
func (h *heap) shift(d float64) {
	for i := range h.entries {
		h.entries[i].tag -= d
	}
	for i := len(h.entries) - 1; i >= 0; i-- {
		h.down(i, h.entries[i])
	}
}
