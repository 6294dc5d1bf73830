package consumer

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/nats-io/nats.go"
)

// arrived is a message with headers of the given lines, as the client makes it.
func arrived(t *testing.T, lines []byte) *nats.Msg {
	t.Helper()
	block := fmt.Appendf(nil, "NATS/1.0\r\n%s\r\n", lines)
	h, err := nats.DecodeHeadersMsg(block)
	if err != nil {
		t.Fatal(err)
	}
	return &nats.Msg{Subject: "s", Header: h, Data: block[len(block):]}
}

func TestWhatHeadersTakeOnTheHeapIsCounted(t *testing.T) {
	const constant = 640 // the map of few headers, and the Msg
	for _, n := range []int{1, 8, 9, 15, 57, 113, 225, 449, 1000, 1793, 5000, 8000} {
		var distinct, same []byte
		for i := range n {
			distinct = fmt.Appendf(distinct, "%x:\r\n", i)
			same = append(same, "k:\r\n"...)
		}
		for name, lines := range map[string][]byte{"distinct": distinct, "same": same} {
			const copies = 100
			held := make([]*nats.Msg, copies)
			before := heap()
			for i := range held {
				held[i] = arrived(t, lines)
			}
			took := int(heap()-before) / copies
			wire := held[0].Size()
			if counted := wire + headerCost(held[0].Header, held[0]); took > counted+constant {
				t.Errorf("%d %s headers of %d bytes take %d, counted as %d", n, name, wire, took, counted)
			}
			if least := 28 * wire; headerCost(held[0].Header, held[0]) > least {
				t.Errorf("%d %s headers: counted as %d of %d on the wire, more than is expected at first", n, name, headerCost(held[0].Header, held[0]), wire)
			}
		}
	}
}

// heap returns what is live, after a collection.
func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func TestMessagesWithoutHeadersCostWhatIsOnTheWire(t *testing.T) {
	m := &nats.Msg{Subject: "jobs.a.x", Reply: "$JS.ACK.x", Data: make([]byte, 100)}
	if got := headerCost(nil, m); got != 0 {
		t.Errorf("%d bytes beyond the wire", got)
	}
	if n := testing.AllocsPerRun(100, func() { headerCost(nats.Header{}, m) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
