package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// refresh is how often the numbers are shown.
const refresh = time.Second

// Screen shows the numbers of the moment.
type Screen struct {
	W        io.Writer
	Terminal bool // redraw in place of adding lines
	Scene    *Scene
	Tally    *Tally
	Snapshot func() consumer.Snapshot

	last  map[string]int // handled at the last refresh
	drawn int            // lines that are on the terminal
}

// Run shows until ctx ends.
func (s *Screen) Run(ctx context.Context) {
	s.last = make(map[string]int)
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for start := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.show(time.Since(start).Round(time.Second))
		}
	}
}

func (s *Screen) show(elapsed time.Duration) {
	rows, failed := s.Tally.rows(true)
	snapshot := s.Snapshot()
	if s.Terminal {
		s.redraw(s.table(elapsed, rows, failed, snapshot))
	} else {
		fmt.Fprintln(s.W, s.line(elapsed, rows, snapshot))
	}
	for _, r := range rows {
		s.last[r.tenant] = r.handled
	}
}

// redraw writes text over what is there.
func (s *Screen) redraw(text string) {
	if s.drawn > 0 {
		fmt.Fprintf(s.W, "\x1b[%dA\x1b[J", s.drawn)
	}
	s.drawn = strings.Count(text, "\n")
	fmt.Fprint(s.W, text)
}

// table returns what a terminal shows. Its lines stay below 80 columns: one that wraps
// would be counted wrongly by redraw.
func (s *Screen) table(elapsed time.Duration, rows []row, failed int, snap consumer.Snapshot) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%5s  %s\n\n", elapsed, s.Scene.Now())
	fmt.Fprintf(&b, "  %-8s %9s %8s %5s %6s %7s %8s %8s\n", "TENANT", "PUBLISHED", "HANDLED", "/SEC", "QUEUED", "RUNNING", "WAIT P50", "WAIT P99")
	for _, r := range rows {
		t := stateOf(snap, r.tenant)
		fmt.Fprintf(&b, "  %-8s %9d %8d %5d %6d %7d %8s %8s%s\n", r.tenant, r.published, r.handled,
			r.handled-s.last[r.tenant], t.Queued, t.InFlight, brief(r.p50), brief(r.p99), shedding(t))
	}
	fmt.Fprintf(&b, "\n  workers %d of %d busy, holding %d of %d, backlog %d, failed runs %d\n",
		snap.InFlight, snap.Workers, snap.Held, snap.HeldMax, snap.Backlog, failed)
	return b.String()
}

func (s *Screen) line(elapsed time.Duration, rows []row, snap consumer.Snapshot) string {
	name, _, _ := strings.Cut(s.Scene.Now().String(), ":")
	parts := []string{fmt.Sprintf("%5s %-15s busy %d/%d held %d backlog %d", elapsed, name, snap.InFlight, snap.Workers, snap.Held, snap.Backlog)}
	for _, r := range rows {
		parts = append(parts, fmt.Sprintf("%s %d/s wait p99 %s", r.tenant, r.handled-s.last[r.tenant], brief(r.p99)))
	}
	return strings.Join(parts, " | ")
}

func stateOf(s consumer.Snapshot, tenant string) consumer.TenantState {
	for _, t := range s.Tenants {
		if t.Tenant == tenant {
			return t
		}
	}
	return consumer.TenantState{}
}

func shedding(t consumer.TenantState) string {
	if t.Shedding {
		return "  shedding"
	}
	return ""
}

// brief returns d with about two digits.
func brief(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(100 * time.Millisecond).String()
}
