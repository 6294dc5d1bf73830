package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/lag"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
	"github.com/spillwaymq/spillway/consumer"
)

type lagCommand struct {
	settings

	JSON     bool          `help:"As JSON."`
	Messages int           `default:"100000" help:"How many messages are read at most to count them by tenant (default ${default})."`
	Within   time.Duration `default:"5s" help:"How long they are counted at most (default ${default})."`
	Tenants  int           `default:"1000" help:"How many tenants are told apart (default ${default})."`
}

// Validate is called by kong.
func (l *lagCommand) Validate() error {
	if l.Messages <= 0 || l.Within <= 0 || l.Tenants <= 0 {
		return fmt.Errorf("--messages is %d, --within %v, --tenants %d: they must be positive", l.Messages, l.Within, l.Tenants)
	}
	return nil
}

// Run tells the backlog.
func (l *lagCommand) Run(p *process) error {
	return l.withNATS(p, func(ctx context.Context, cfg *config.Config, link *natslink.Link) error {
		report, err := lag.Read(ctx, link.JetStream, lag.Config{
			Stream: cfg.Stream, Durable: cfg.Durable, Overflow: cfg.Overflow.Stream,
			Tenant: cfg.Consumer().Tenant, BySubject: cfg.Tenant.SubjectToken > 0,
			Messages: l.Messages, Within: l.Within, Tenants: l.Tenants,
		})
		if err != nil {
			return err
		}
		if l.JSON {
			encoder := json.NewEncoder(p.stdout)
			encoder.SetIndent("", "  ")
			return encoder.Encode(report)
		}
		return printLag(p.stdout, report)
	})
}

// printLag shows a report to people.
func printLag(w io.Writer, r lag.Report) error {
	fmt.Fprintf(w, "backlog of %s on %s: %d messages\n\n", r.Durable, r.Stream, r.Backlog)
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "LANE\tPENDING\tUNACKED\tREDELIVERED\tOLDEST")
	for _, l := range r.Lanes {
		if l.Missing != "" {
			fmt.Fprintln(table, joinCells([]any{l.Lane, "-", "-", "-", l.Missing}))
			continue
		}
		age := ""
		if !l.Oldest.IsZero() {
			age = terminal.Brief(l.OldestAge)
		}
		fmt.Fprintln(table, joinCells([]any{l.Lane, l.Pending, l.AckPending, l.Redelivered, age}))
	}
	if r.Overflow.Messages > 0 {
		fmt.Fprintln(table, joinCells([]any{consumer.LaneOverflow, r.Overflow.Messages, "", "", ""}))
	}
	fmt.Fprintln(table)
	printTenants(table, r)
	printOverflow(table, r.Overflow)
	return table.Flush()
}

// printOverflow shows who has overflow, if anybody has.
func printOverflow(w io.Writer, o lag.Overflow) {
	if o.Messages == 0 {
		return
	}
	fmt.Fprintln(w, "\nTENANT\tOVERFLOW")
	for _, c := range o.Tenants {
		fmt.Fprintln(w, joinCells([]any{c.Tenant, c.Messages}))
	}
	if o.Other > 0 {
		fmt.Fprintf(w, "(others)\t%d\n", o.Other)
	}
}

// printTenants shows whose the backlog of the main lane is, as far as can be told.
func printTenants(w io.Writer, r lag.Report) {
	if why := untold(r); why != "" {
		fmt.Fprintf(w, "by tenant: %s\n", why)
		return
	}
	t := r.Tenants
	heading := "TENANT\tPENDING"
	if t.Unacknowledged {
		heading = "TENANT\tPENDING AND UNACKED"
	}
	fmt.Fprintln(w, heading)
	for _, c := range t.Counts {
		fmt.Fprintln(w, joinCells([]any{c.Tenant, c.Messages}))
	}
	if t.Other > 0 {
		fmt.Fprintf(w, "(others)\t%d\n", t.Other)
	}
	if t.Unknown > 0 {
		fmt.Fprintf(w, "(no tenant)\t%d\n", t.Unknown)
	}
	if held := unacknowledged(r); held > 0 && !t.Unacknowledged {
		fmt.Fprintf(w, "\nbesides, %s\n", withWorkers(held))
	}
	if t.Cut != "" {
		fmt.Fprintf(w, "\nnot all were counted: %s\n", printable(t.Cut))
	}
}

// untold says why no tenant has a count, "" if one has.
func untold(r lag.Report) string {
	t, held := r.Tenants, unacknowledged(r)
	switch {
	case t.Missing != "":
		return printable(t.Missing)
	case t.Counted > 0:
		return ""
	case t.Cut != "":
		return "none was counted: " + printable(t.Cut)
	case held > 0:
		return "nothing is pending; " + withWorkers(held)
	case r.Backlog > 0:
		return "nothing is pending on lane main, the backlog is on the others"
	}
	return "nothing is pending"
}

// unacknowledged returns how many messages of the main lane were delivered and not settled.
func unacknowledged(r lag.Report) uint64 {
	for _, l := range r.Lanes {
		if l.Lane == consumer.LaneMain {
			return l.AckPending
		}
	}
	return 0
}

// withWorkers says where messages are that JetStream does not tell by tenant.
func withWorkers(n uint64) string {
	return fmt.Sprintf("%d unacknowledged are with workers.\n\"worker tenants ls\" asks one of them whose those are that it holds.", n)
}
