package consumer

import "math/bits"

// heldTable are the deliveries that one lane holds, by their sequence. It is a hash
// table whose chains run through the deliveries themselves, so that it allocates
// nothing: sequences that come in a row spread over its buckets in a row. It is
// guarded by leases.mu.
type heldTable struct{ buckets []*delivery }

// maxBuckets bounds the table of a very large buffer; chains grow beyond that.
const maxBuckets = 1 << 16

// newHeldTable is for about n deliveries.
func newHeldTable(n int64) heldTable {
	size := 1 << bits.Len64(uint64(max(min(n, maxBuckets), 1)-1))
	return heldTable{buckets: make([]*delivery, size)}
}

// bucket is where the chain of a sequence begins.
func (h *heldTable) bucket(sequence uint64) **delivery {
	return &h.buckets[sequence&uint64(len(h.buckets)-1)]
}

func (h *heldTable) find(sequence uint64) *delivery {
	d := *h.bucket(sequence)
	for d != nil && d.source.sequence != sequence {
		d = d.chain
	}
	return d
}

func (h *heldTable) insert(d *delivery) {
	b := h.bucket(d.source.sequence)
	d.chain, *b = *b, d
}

// remove takes d out, if it is in.
func (h *heldTable) remove(d *delivery) {
	for p := h.bucket(d.source.sequence); *p != nil; p = &(*p).chain {
		if *p == d {
			*p, d.chain = d.chain, nil
			return
		}
	}
}

// all yields every delivery; the one that is yielded may be removed.
func (h *heldTable) all(yield func(d *delivery) bool) {
	for _, d := range h.buckets {
		for d != nil {
			next := d.chain
			if !yield(d) {
				return
			}
			d = next
		}
	}
}
