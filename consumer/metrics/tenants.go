package metrics

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// tenantTable counts the events of tenants between two scrapes. It is bounded: what
// comes for more tenants than it has room for is counted as the rest.
type tenantTable struct {
	max     int64
	size    atomic.Int64
	records sync.Map // string → *tenantCounts
	rest    tenantCounts
}

// tenantCounts is what happened to a tenant since the last scrape.
//
// Counts are only ever swapped out of it, so that each is told once. A record that
// was taken out of the table may still be written to by an event that found it
// before: the collector sets retired and then swaps, the event adds and then looks
// at retired, so one of the two moves the addition to the rest.
type tenantCounts struct {
	messages atomic.Int64
	worker   atomic.Int64 // nanoseconds
	shed     [maxPolicies]atomic.Int64
	retired  atomic.Bool
}

// tenantTotals is a sum of what was swapped out.
type tenantTotals struct {
	messages int64
	worker   time.Duration
	shed     [maxPolicies]int64
}

func (t *tenantTable) handled(tenant string, took time.Duration) {
	r := t.record(tenant)
	r.messages.Add(1)
	r.worker.Add(int64(max(took, 0)))
	if r.retired.Load() {
		t.rest.add(r.swap())
	}
}

func (t *tenantTable) shed(tenant string, policy int) {
	r := t.record(tenant)
	r.messages.Add(1)
	r.shed[policy].Add(1)
	if r.retired.Load() {
		t.rest.add(r.swap())
	}
}

func (t *tenantTable) record(tenant string) *tenantCounts {
	if r, ok := t.records.Load(tenant); ok {
		return r.(*tenantCounts) //nolint:errcheck // nothing else is stored
	}
	if !labelable(tenant) {
		return &t.rest
	}
	if t.size.Add(1) > t.max {
		t.size.Add(-1)
		return &t.rest
	}
	return t.insert(tenant)
}

// insert requires that size has been raised for it. The name is cloned because it is
// often a piece of a subject that would be kept in memory with it.
func (t *tenantTable) insert(tenant string) *tenantCounts {
	r, loaded := t.records.LoadOrStore(strings.Clone(tenant), new(tenantCounts))
	if loaded {
		t.size.Add(-1)
	}
	return r.(*tenantCounts) //nolint:errcheck // nothing else is stored
}

// retire takes a tenant out of the table. What an event added meanwhile goes to the
// rest.
func (t *tenantTable) retire(tenant string) {
	r, ok := t.records.LoadAndDelete(tenant)
	if !ok {
		return
	}
	t.size.Add(-1)
	counts := r.(*tenantCounts) //nolint:errcheck // nothing else is stored
	counts.retired.Store(true)
	t.rest.add(counts.swap())
}

func (c *tenantCounts) swap() tenantTotals {
	s := tenantTotals{messages: c.messages.Swap(0), worker: time.Duration(c.worker.Swap(0))}
	for i := range c.shed {
		s.shed[i] = c.shed[i].Swap(0)
	}
	return s
}

func (c *tenantCounts) add(s tenantTotals) {
	c.messages.Add(s.messages)
	c.worker.Add(int64(s.worker))
	for i, n := range s.shed {
		c.shed[i].Add(n)
	}
}

func (s *tenantTotals) add(d tenantTotals) {
	s.messages += d.messages
	s.worker += d.worker
	for i, n := range d.shed {
		s.shed[i] += n
	}
}

// labelable reports whether a name can be the value of a label. To Prometheus an empty
// one is none at all, and one that is not UTF-8 fails the whole scrape; consumer takes
// neither for a name.
func labelable(tenant string) bool { return consumer.ValidTenant(tenant) }
