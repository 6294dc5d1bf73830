package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
	"github.com/spillwaymq/spillway/consumer"
)

// moment is what is shown at once.
type moment struct {
	elapsed time.Duration
	scene   Scenario
	snap    consumer.Snapshot
	failed  int
	tenants []tenantNow
}

// tenantNow is what is shown of a tenant. Its waits are those of the last second.
type tenantNow struct {
	row
	state consumer.TenantState
	rate  int     // handled in the last second
	share float64 // of the workers' time in the last second
}

// legend says what the columns are that do not say so themselves.
const legend = `
  TIME  share of the workers' time, which is what is shared fairly
  WAIT  from publication to the start of the handler, in the last second
`

// table returns what a terminal shows: what matters most stands in the first 40 columns
// and above, as the rest may not fit.
func (m moment) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%5s  scene %d of %d, %s: %s\n\n", m.elapsed, m.scene+1, scenarios, m.scene, m.scene.Describe())
	fmt.Fprintf(&b, "  %-8s %5s %4s %8s %8s %6s %7s %9s %8s\n", "TENANT", "/SEC", "TIME", "WAIT P99", "WAIT P50", "QUEUED", "RUNNING", "PUBLISHED", "HANDLED")
	for _, t := range m.tenants {
		fmt.Fprintf(&b, "  %-8s %5d %3.0f%% %8s %8s %6d %7d %9d %8d%s\n", t.tenant, t.rate, 100*t.share,
			brief(t.p99), brief(t.p50), t.state.Queued, t.state.InFlight, t.published, t.handled, shedding(t.state))
	}
	fmt.Fprintf(&b, "\n  workers %d of %d busy, backlog %d, held %d of %d, failed runs %d\n",
		m.snap.InFlight, m.snap.Workers, m.snap.Backlog, m.snap.Held, m.snap.HeldMax, m.failed)
	return b.String() + legend
}

// line returns what is written where nobody redraws.
func (m moment) line() string {
	parts := []string{fmt.Sprintf("%5s %-15s busy %d/%d backlog %d", m.elapsed, m.scene, m.snap.InFlight, m.snap.Workers, m.snap.Backlog)}
	for _, t := range m.tenants {
		parts = append(parts, fmt.Sprintf("%s %d/s time %.0f%% wait p99 %s", t.tenant, t.rate, 100*t.share, brief(t.p99)))
	}
	return strings.Join(parts, " | ")
}

func shedding(t consumer.TenantState) string {
	if t.Shedding {
		return " sheds"
	}
	return ""
}

// brief returns d for a column.
func brief(d time.Duration) string {
	if d == 0 {
		return "-"
	}
	return terminal.Brief(d)
}
