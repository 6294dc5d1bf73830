package metrics

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// otherTenants is the label of all tenants that have none of their own.
const otherTenants = "_other"

// spareRecords is for how many tenants without a label events are counted apart, for
// each label, so that the busiest can be found when a label is free.
const spareRecords = 10

// tenantLabels decides which tenants have a label. It is used by one scrape at a
// time; table alone is shared with the events.
type tenantLabels struct {
	limit    int
	idle     time.Duration
	table    *tenantTable
	labelled map[string]*tenantRow
	other    tenantRow
}

// tenantRow is what a scrape shows of one label.
type tenantRow struct {
	label    string
	totals   tenantTotals
	queued   int
	bytes    int64
	overflow uint64
	noisy    float64 // how many of its tenants are

	active time.Time // when it last had something to do
}

func newTenantLabels(limit int, idle time.Duration) *tenantLabels {
	limit = max(limit, 0)
	return &tenantLabels{
		limit:    limit,
		idle:     idle,
		table:    &tenantTable{max: int64(limit * (1 + spareRecords))},
		labelled: make(map[string]*tenantRow),
		other:    tenantRow{label: otherTenants},
	}
}

// candidate is a tenant without a label in the time since the last scrape.
type candidate struct {
	tenant string
	counts tenantTotals
	state  consumer.TenantState
}

// busy is by what candidates are ordered: messages handled, shed, waiting and
// running.
func (c candidate) busy() int64 {
	return c.counts.messages + int64(c.state.Queued) + int64(c.state.InFlight) + int64(c.state.Overflow)
}

// scrape takes in what happened until now, gives labels that are free to the
// busiest, and returns the rows to show, those with a label in order and then the
// others.
func (t *tenantLabels) scrape(now time.Time, states []consumer.TenantState) []*tenantRow {
	for _, row := range t.labelled {
		row.queued, row.bytes, row.overflow, row.noisy = 0, 0, 0, 0
	}
	t.other.queued, t.other.bytes, t.other.overflow, t.other.noisy = 0, 0, 0, 0

	candidates := make(map[string]candidate)
	t.takeEvents(now, candidates)
	t.takeStates(now, states, candidates)
	t.dropIdle(now)
	t.promote(now, candidates)
	t.other.totals.add(t.table.rest.swap())

	rows := slices.SortedFunc(maps.Values(t.labelled), func(a, b *tenantRow) int { return cmp.Compare(a.label, b.label) })
	return append(rows, &t.other)
}

func (t *tenantLabels) takeEvents(now time.Time, candidates map[string]candidate) {
	for key, value := range t.table.records.Range {
		tenant, counts := key.(string), value.(*tenantCounts).swap() //nolint:errcheck // nothing else is stored
		row := t.labelled[tenant]
		if row == nil {
			candidates[tenant] = candidate{tenant: tenant, counts: counts}
			continue
		}
		row.totals.add(counts)
		if counts.messages > 0 {
			row.active = now
		}
	}
}

func (t *tenantLabels) takeStates(now time.Time, states []consumer.TenantState, candidates map[string]candidate) {
	for _, s := range states {
		row := t.labelled[s.Tenant]
		switch {
		case row != nil:
			row.show(now, s)
		case labelable(s.Tenant):
			c := candidates[s.Tenant]
			c.tenant, c.state = s.Tenant, s
			candidates[s.Tenant] = c
		default:
			t.other.show(now, s)
		}
	}
}

func (r *tenantRow) show(now time.Time, s consumer.TenantState) {
	r.queued += s.Queued
	r.bytes += s.Bytes
	if s.Noisy {
		r.noisy++
	}
	r.overflow += s.Overflow
	if s.Queued > 0 || s.InFlight > 0 || s.Overflow > 0 {
		r.active = now
	}
}

func (t *tenantLabels) dropIdle(now time.Time) {
	for tenant, row := range t.labelled {
		if now.Sub(row.active) >= t.idle {
			delete(t.labelled, tenant)
			t.table.retire(tenant)
		}
	}
}

// promote gives the labels that are free to the busiest candidates. The others are
// forgotten: what they did is with "_other" from here on.
func (t *tenantLabels) promote(now time.Time, candidates map[string]candidate) {
	order := slices.SortedFunc(maps.Values(candidates), func(a, b candidate) int {
		return cmp.Or(cmp.Compare(b.busy(), a.busy()), cmp.Compare(a.tenant, b.tenant))
	})
	for _, c := range order {
		if len(t.labelled) < t.limit && c.busy() > 0 {
			t.label(now, c)
			continue
		}
		t.other.totals.add(c.counts)
		t.other.show(now, c.state)
		t.table.retire(c.tenant)
	}
}

// label gives c a label, and a record for its events even when the table is full.
func (t *tenantLabels) label(now time.Time, c candidate) {
	row := &tenantRow{label: labelOfTenant(c.tenant), totals: c.counts, active: now}
	row.show(now, c.state)
	t.labelled[strings.Clone(c.tenant)] = row
	t.table.size.Add(1)
	t.table.insert(c.tenant)
}

// labelOfTenant moves the names _other, __other, … out of the way by one underscore.
func labelOfTenant(tenant string) string {
	if rest := strings.TrimLeft(tenant, "_"); rest == "other" && len(rest) < len(tenant) {
		return "_" + tenant
	}
	return tenant
}
