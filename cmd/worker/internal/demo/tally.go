package demo

import (
	"context"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// Tally counts what becomes of the messages.
type Tally struct {
	mu      sync.Mutex
	tenants map[string]*counts
	done    bits // sequences that were handled: a message may come twice
	failed  int
}

// counts are those of one tenant.
type counts struct {
	published, handled int
	total, recent      waits
}

// NewTally returns an empty one.
func NewTally() *Tally {
	t := &Tally{tenants: make(map[string]*counts)}
	for _, name := range Tenants() {
		t.tenants[name] = new(counts)
	}
	return t
}

// Count returns a handler that counts what h does.
func (t *Tally) Count(h consumer.Handler) consumer.Handler {
	return consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
		wait := time.Since(m.Published)
		err := h.Handle(ctx, m)
		t.handled(m, wait, err)
		return err
	})
}

func (t *Tally) published(tenant string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tenants[tenant].published++
}

func (t *Tally) handled(m *consumer.Message, wait time.Duration, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if err != nil {
		t.failed++
		return
	}
	c, known := t.tenants[m.Tenant]
	if !known || !t.done.add(m.Sequence) {
		return
	}
	c.handled++
	if m.Attempt == 1 { // what waited for a retry says nothing about fairness
		c.total.add(wait)
		c.recent.add(wait)
	}
}

// row is what is told of a tenant.
type row struct {
	tenant             string
	published, handled int
	p50, p99           time.Duration
}

// rows returns what there is to tell. Waits are those since the last call if recent,
// else all.
func (t *Tally) rows(recent bool) (rows []row, failed int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, name := range Tenants() {
		c := t.tenants[name]
		w := c.total
		if recent {
			w, c.recent = c.recent, waits{}
		}
		rows = append(rows, row{name, c.published, c.handled, w.quantile(0.5), w.quantile(0.99)})
	}
	return rows, t.failed
}

// bits is a set of small numbers.
type bits []uint64

// add adds n and reports whether it was not there.
func (b *bits) add(n uint64) bool {
	word, bit := n/64, uint64(1)<<(n%64)
	for uint64(len(*b)) <= word {
		*b = append(*b, 0)
	}
	fresh := (*b)[word]&bit == 0
	(*b)[word] |= bit
	return fresh
}
