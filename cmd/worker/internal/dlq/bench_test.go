package dlq_test

import (
	"testing"

	"github.com/spillwaymq/spillway/cmd/worker/internal/dlq"
)

func BenchmarkList(b *testing.B) {
	h := newHouse(b)
	for range b.N {
		h.died(letter{tenant: "acme", reason: "attempts", data: "cat.png"})
	}
	b.ResetTimer()
	if n := len(h.list(dlq.Filter{Tenant: "acme"})); n != b.N {
		b.Errorf("listed %d of %d", n, b.N)
	}
}

func BenchmarkReplay(b *testing.B) {
	h := newHouse(b)
	for range b.N {
		h.died(letter{tenant: "acme", reason: "attempts", data: "cat.png"})
	}
	b.ResetTimer()
	if n := len(h.replayAll(dlq.Replay{})); n != b.N {
		b.Errorf("replayed %d of %d", n, b.N)
	}
}
