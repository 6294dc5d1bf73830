package demo

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
	"github.com/spillwaymq/spillway/consumer"
)

// refresh is how often the numbers are shown.
const refresh = time.Second

// Screen shows the numbers of the moment.
type Screen struct {
	W        io.Writer
	Size     func() (columns, rows int) // of the terminal that W is; nil: it is none
	Scene    *Scene
	Tally    *Tally
	Snapshot func() consumer.Snapshot

	handled       map[string]int           // at the last refresh
	worked        map[string]time.Duration // at the last refresh
	scene         Scenario                 // that was told last
	drawn         int                      // lines that are on the terminal
	columns, rows int                      // of it, when they were drawn
}

// Run shows until ctx ends.
func (s *Screen) Run(ctx context.Context) {
	s.handled, s.worked, s.scene = make(map[string]int), make(map[string]time.Duration), scenarios
	ticker := time.NewTicker(refresh)
	defer ticker.Stop()
	for start := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.show(time.Since(start).Round(time.Second), s.Scene.Now())
		}
	}
}

func (s *Screen) show(elapsed time.Duration, scene Scenario) {
	rows, failed := s.Tally.rows(true)
	snap := s.Snapshot()
	now := moment{elapsed: elapsed, scene: scene, snap: snap, failed: failed}
	shares := s.shares(snap)
	for _, r := range rows {
		now.tenants = append(now.tenants, tenantNow{row: r, state: stateOf(snap, r.tenant), rate: r.handled - s.handled[r.tenant], share: shares[r.tenant]})
		s.handled[r.tenant] = r.handled
	}
	if s.Size == nil {
		s.add(now)
	} else {
		s.redraw(now.table())
	}
}

// shares returns the share that each tenant had of the workers' time since the last
// refresh.
func (s *Screen) shares(snap consumer.Snapshot) map[string]float64 {
	shares, sum := make(map[string]float64), time.Duration(0)
	for _, t := range snap.Tenants {
		took := t.WorkerTime - s.worked[t.Tenant]
		s.worked[t.Tenant] = t.WorkerTime
		shares[t.Tenant], sum = float64(took), sum+took
	}
	for tenant := range shares {
		shares[tenant] /= max(float64(sum), 1)
	}
	return shares
}

// add writes lines that are to be kept.
func (s *Screen) add(now moment) {
	if now.scene != s.scene {
		fmt.Fprintf(s.W, "%5s %s: %s\n", now.elapsed, now.scene, now.scene.Describe())
		s.scene = now.scene
	}
	fmt.Fprintln(s.W, now.line())
}

// redraw writes text over what is there. No line may wrap and nothing may scroll: the
// way back up would be another one.
func (s *Screen) redraw(text string) {
	columns, rows := s.Size()
	switch {
	case s.drawn == 0:
	case columns == s.columns && rows == s.rows:
		fmt.Fprintf(s.W, "\x1b[%dA\r\x1b[J", s.drawn)
	default: // the terminal may have moved anything
		fmt.Fprint(s.W, "\x1b[H\x1b[2J")
	}
	lines := strings.SplitAfter(terminal.Clip(text, columns), "\n")
	lines = lines[:min(len(lines)-1, max(rows-1, 0))] // the last is empty
	s.drawn, s.columns, s.rows = len(lines), columns, rows
	fmt.Fprint(s.W, strings.Join(lines, ""))
}

func stateOf(s consumer.Snapshot, tenant string) consumer.TenantState {
	for _, t := range s.Tenants {
		if t.Tenant == tenant {
			return t
		}
	}
	return consumer.TenantState{}
}
