package ops

import (
	"cmp"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// view is which tenants somebody wants to see, and in which order. The zero value is not
// valid.
type view struct {
	top    int
	search string
	sort   string
}

// Bounds of a view.
const (
	defaultTop = 50
	maxTop     = 500
	maxSearch  = 256
)

// orders are those that tenants can be shown in: as the names of Query's sort.
var orders = []string{"harm", "queued", "wait", "in_flight", "overflow", "name"}

// viewOf reads a view from the query of a URL. The error names what is wrong, and the bound.
func viewOf(q url.Values) (view, error) {
	v := view{top: defaultTop, search: strings.ToLower(q.Get("q")), sort: orders[0]}
	if s := q.Get("top"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 || n > maxTop {
			return view{}, fmt.Errorf("top is %q, must be from 1 to %d", s, maxTop)
		}
		v.top = n
	}
	if len(v.search) > maxSearch {
		return view{}, fmt.Errorf("q is %d bytes long, must be at most %d", len(v.search), maxSearch)
	}
	if s := q.Get("sort"); s != "" {
		if !slices.Contains(orders, s) {
			return view{}, fmt.Errorf("sort is %q, must be one of %s", s, strings.Join(orders, ", "))
		}
		v.sort = s
	}
	return v, nil
}

// choose returns the tenants of a view, in its order, and how many match its search. It
// leaves the given ones as they are.
func (v view) choose(all []consumer.TenantState, w *waits) (chosen []consumer.TenantState, matched int) {
	chosen = make([]consumer.TenantState, 0, len(all))
	for i := range all {
		if v.search == "" || strings.Contains(strings.ToLower(all[i].Tenant), v.search) {
			chosen = append(chosen, all[i])
		}
	}
	slices.SortStableFunc(chosen, v.order(chosen, w)) // they come sorted by name
	return chosen[:min(v.top, len(chosen))], len(chosen)
}

func (v view) order(chosen []consumer.TenantState, w *waits) func(a, b consumer.TenantState) int {
	switch v.sort {
	case "queued":
		return func(a, b consumer.TenantState) int { return cmp.Compare(b.Queued, a.Queued) }
	case "in_flight":
		return func(a, b consumer.TenantState) int { return cmp.Compare(b.InFlight, a.InFlight) }
	case "overflow":
		return func(a, b consumer.TenantState) int { return cmp.Compare(b.Overflow, a.Overflow) }
	case "name":
		return func(a, b consumer.TenantState) int { return strings.Compare(a.Tenant, b.Tenant) }
	case "wait":
		p99 := make(map[string]time.Duration, len(chosen))
		for i := range chosen {
			c, _ := w.tenant(chosen[i].Tenant)
			p99[chosen[i].Tenant] = c.quantile(0.99)
		}
		return func(a, b consumer.TenantState) int { return cmp.Compare(p99[b.Tenant], p99[a.Tenant]) }
	}
	return byHarm
}

// byHarm puts first who harms others, then who has more than there is room for, then who is
// kept from work by more than the others' turn; and among equals who has most waiting.
func byHarm(a, b consumer.TenantState) int {
	return cmp.Or(
		cmp.Compare(harm(b), harm(a)),
		cmp.Compare(uint64(b.Queued)+b.Overflow, uint64(a.Queued)+a.Overflow),
		cmp.Compare(b.InFlight, a.InFlight),
	)
}

func harm(t consumer.TenantState) int {
	switch {
	case t.Noisy:
		return 3
	case t.Shedding || t.Overflow > 0:
		return 2
	case t.Waiting != nil && t.Waiting.For != consumer.WaitTurn && t.Waiting.For != consumer.WaitWorkers:
		return 1
	}
	return 0
}

// row is what is shown of one tenant.
type row struct {
	consumer.TenantState
	Share   float64       `json:"share"`                 // of the workers: what it would have if all that have work now shared them by weight
	WaitP50 time.Duration `json:"wait_p50_ns,omitempty"` // of its runs in the last half to whole minute
	WaitP99 time.Duration `json:"wait_p99_ns,omitempty"`
	Runs    uint64        `json:"runs,omitempty"` // in that time
}

// rows are the tenants of a view.
type rows struct {
	Matched int   `json:"matched"`
	Rows    []row `json:"rows"`
}

func (f *frame) rows(v view, w *waits) rows {
	chosen, matched := v.choose(f.state.Tenants, w)
	r := rows{Matched: matched, Rows: make([]row, len(chosen))}
	for i, t := range chosen {
		r.Rows[i] = row{TenantState: t, Share: f.totals.shareOf(t, f.state.Workers)}
		if c, ok := w.tenant(t.Tenant); ok {
			r.Rows[i].WaitP50, r.Rows[i].WaitP99, r.Rows[i].Runs = c.quantile(0.5), c.quantile(0.99), c.total()
		}
	}
	return r
}

// totals are sums over all tenants.
type totals struct {
	Tenants  int    `json:"tenants"`
	Waiting  int    `json:"waiting"` // tenants that have messages queued
	Running  int    `json:"running"` // tenants that have messages in flight
	Shedding int    `json:"shedding"`
	Spilled  int    `json:"spilled"` // tenants that have messages in an overflow
	Noisy    int    `json:"noisy"`
	Queued   int    `json:"queued"`   // messages
	Overflow uint64 `json:"overflow"` // messages
	// Reasons is how many tenants wait for what.
	Reasons map[consumer.WaitReason]int `json:"reasons"`

	weight float64 // of those who have work here
}

func totalsOf(all []consumer.TenantState) totals {
	t := totals{Tenants: len(all), Reasons: make(map[consumer.WaitReason]int)}
	for i := range all {
		s := &all[i]
		t.Waiting += one(s.Queued > 0)
		t.Running += one(s.InFlight > 0)
		t.Shedding += one(s.Shedding)
		t.Spilled += one(s.Overflow > 0)
		t.Noisy += one(s.Noisy)
		t.Queued += s.Queued
		t.Overflow += s.Overflow
		if s.Waiting != nil {
			t.Reasons[s.Waiting.For]++
		}
		if busy(s) {
			t.weight += s.Weight
		}
	}
	return t
}

func busy(s *consumer.TenantState) bool { return s.Queued > 0 || s.InFlight > 0 }

// shareOf is how many workers a tenant would have if those with work shared them by weight.
func (t totals) shareOf(s consumer.TenantState, workers int) float64 {
	weight := t.weight
	if !busy(&s) {
		weight += s.Weight // if it had work too
	}
	if weight == 0 {
		return 0
	}
	return float64(workers) * s.Weight / weight
}

func one(b bool) int {
	if b {
		return 1
	}
	return 0
}
