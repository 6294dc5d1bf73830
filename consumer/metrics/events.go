package metrics

import (
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/spillwaymq/spillway/consumer"
)

// The values of the labels, in the order of the counters. One past the end counts what
// consumer does not know of.
var (
	outcomes = consumer.Outcomes()
	results  = consumer.Results()
	policies = consumer.OverflowPolicies()
	reasons  = consumer.Reasons()
	pauses   = consumer.PauseReasons()

	breakerStates = consumer.BreakerStates()
)

// Room for the counters of a value each, and of those unknown.
const (
	maxOutcomes = 12
	maxResults  = 8
	maxPolicies = 6
)

// unknown is the label of a value that is in none of the lists.
const unknown = "unknown"

// indexOf returns the counter of v. The lists are ordered by how often their values
// come, so that a search from the front is short.
func indexOf[T comparable](list []T, v T) int {
	for i := range list {
		if list[i] == v {
			return i
		}
	}
	return len(list)
}

// labelOf is the inverse of indexOf.
func labelOf[T ~string](list []T, i int) string {
	if i < len(list) {
		return string(list[i])
	}
	return unknown
}

// events counts what the consumer tells as it happens. Nothing in it blocks.
type events struct {
	tenants *tenantTable

	downstreams atomic.Pointer[map[string]*downstreamCounts] // replaced, never changed
	mu          sync.Mutex                                   // serializes the replacing
}

// downstreamCounts is what is counted of one downstream. There are as many as the
// program names, so nothing bounds them here.
type downstreamCounts struct {
	settled  [maxOutcomes]atomic.Uint64
	wait     histogram
	handle   [maxResults]histogram
	endToEnd [maxResults]histogram
}

func newEvents(t *tenantTable) *events {
	e := &events{tenants: t}
	e.downstreams.Store(&map[string]*downstreamCounts{})
	return e
}

func (e *events) observer() consumer.Observer {
	return consumer.Observer{Handled: e.handled, Settled: e.settled, Shed: e.shed}
}

func (e *events) handled(h consumer.Handled) {
	d := e.downstream(h.Downstream)
	result := indexOf(results, h.Result)
	d.wait.observe(shortBounds, h.Wait)
	d.handle[result].observe(shortBounds, h.Took)
	d.endToEnd[result].observe(longBounds, h.EndToEnd)
	e.tenants.handled(h.Tenant, h.Took)
}

func (e *events) settled(s consumer.Settled) {
	e.downstream(s.Downstream).settled[indexOf(outcomes, s.Outcome)].Add(1)
}

func (e *events) shed(s consumer.Shed) {
	e.tenants.shed(s.Tenant, indexOf(policies, s.Policy))
}

// downstream returns the counters of a downstream, which are made when it is first
// seen.
func (e *events) downstream(name string) *downstreamCounts {
	if d := (*e.downstreams.Load())[name]; d != nil {
		return d
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	known := *e.downstreams.Load()
	if d := known[name]; d != nil {
		return d
	}
	more := maps.Clone(known)
	d := new(downstreamCounts)
	more[name] = d
	e.downstreams.Store(&more)
	return d
}

// names returns the downstreams seen so far, in order.
func (e *events) names() []string {
	return slices.Sorted(maps.Keys(*e.downstreams.Load()))
}
