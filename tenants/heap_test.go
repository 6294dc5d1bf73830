package tenants

import (
	"testing"

	"pgregory.net/rapid"
)

func TestHeapYieldsItsLeastWhateverIsPutAndRemoved(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h heap
		want := map[int32]key{}
		id := rapid.Int32Range(0, 40)
		t.Repeat(map[string]func(*rapid.T){
			"put": func(t *rapid.T) {
				i := id.Draw(t, "id")
				k := key{rankOf(float64(rapid.IntRange(-3, 3).Draw(t, "tag"))), uint64(i)}
				h.put(i, k)
				want[i] = k
			},
			"remove": func(t *rapid.T) {
				i := id.Draw(t, "id")
				h.remove(i)
				delete(want, i)
			},
			"shift": func(t *rapid.T) {
				d := float64(rapid.IntRange(-2, 2).Draw(t, "by"))
				h.shift(d)
				for i, k := range want {
					want[i] = key{rankOf(tagOf(k.rank) - d), k.order}
				}
			},
			"": func(t *rapid.T) { checkHeap(t, &h, want) },
		})
	})
}

func checkHeap(t *rapid.T, h *heap, want map[int32]key) {
	if len(h.entries) != len(want) {
		t.Fatalf("%d entries, want %d", len(h.entries), len(want))
	}
	for i, e := range h.entries {
		if want[e.id] != e.key || !h.has(e.id) || h.at[e.id] != int32(i+1) {
			t.Fatalf("entry %d is %+v at %d, want %+v", i, e, h.at[e.id], want[e.id])
		}
		if parent := (i - 1) / 4; i > 0 && e.before(h.entries[parent].key) == 1 {
			t.Fatalf("entry %d %+v is less than its parent %+v", i, e, h.entries[parent])
		}
	}
}

func TestRanksAreOrderedAsTheirTags(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Float64().Draw(t, "a"), rapid.Float64().Draw(t, "b")
		if tagOf(rankOf(a)) != a {
			t.Fatalf("%v comes back as %v", a, tagOf(rankOf(a)))
		}
		if (a < b) != (rankOf(a) < rankOf(b)) {
			t.Fatalf("ranks of %v and %v are in another order", a, b)
		}
		ka, kb := key{rankOf(a), 1}, key{rankOf(b), 2}
		if before := a < b || a == b; (ka.before(kb) == 1) != before {
			t.Fatalf("%v before %v is %v", ka, kb, !before)
		}
	})
}
