package load

import (
	"cmp"
	"fmt"
	"io"
	"strconv"
	"text/tabwriter"
	"time"
)

// WriteText writes the result for people.
func (r *Result) WriteText(w io.Writer) error {
	out := &printer{w: w}
	r.writeAccount(out)
	out.printf("\n")
	columns := []column{{"LATENCY", r.Latency}}
	if r.Failed > 0 && r.OK > 0 {
		columns = append(columns, column{"OK ALONE", r.Success})
	}
	out.quantiles(append(columns, column{"SEND LAG", r.Lag}))
	r.writeShares(out)
	for _, f := range r.Failures {
		out.printf("\nfailed %d times: %s", f.Count, f.Error)
	}
	if len(r.Failures) > 0 {
		out.printf("\n")
	}
	r.writeVerdict(out)
	return out.err
}

func (r *Result) writeAccount(out *printer) {
	out.printf("%d scheduled in %s: %d sent, %d dropped", r.Scheduled, brief(seconds(r.Seconds)), r.Sent, r.Dropped)
	out.printf("; of the sent %d ok, %d failed, %d unfinished; at most %d in flight\n", r.OK, r.Failed, r.Unfinished, r.MaxInFlight)
}

func (r *Result) writeShares(out *printer) {
	type row struct {
		name    string
		account Account
		latency Histogram
	}
	write := func(heading string, rows []row) {
		out.printf("\n")
		out.table(func(w io.Writer) {
			fmt.Fprintf(w, "%s\tSCHEDULED\tDROPPED\tOK\tFAILED\tP50\tP99\tMAX\n", heading)
			for _, r := range rows {
				a := r.account
				fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%s\n", r.name, a.Scheduled, a.Dropped, a.OK, a.Failed,
					brief(r.latency.Quantile(0.5)), brief(r.latency.Quantile(0.99)), brief(r.latency.Max()))
			}
		})
	}
	var stages, tenants []row
	for _, s := range r.Stages {
		stages = append(stages, row{s.Stage, s.Account, s.Latency})
	}
	for _, t := range r.Tenants[:min(len(r.Tenants), shownTenants)] {
		tenants = append(tenants, row{strconv.QuoteToGraphic(t.Tenant), t.Account, t.Latency})
	}
	if len(stages) > 1 {
		write("STAGE", stages)
	}
	if len(tenants) > 0 {
		write("TENANT", tenants)
	}
	if more := len(r.Tenants) - len(tenants); more > 0 {
		out.printf("and %d tenants more, in the JSON\n", more)
	}
}

// shownTenants is how many tenants people see.
const shownTenants = 10

func (r *Result) writeVerdict(out *printer) {
	out.printf("\n")
	for _, warning := range r.Warnings {
		out.printf("note: %s\n", warning)
	}
	if r.Interrupted {
		out.printf("The run was ended before it was over; this is what was seen until then.\n")
	}
	if r.Valid() {
		out.printf("The run is valid: 99 of 100 requests were sent within %s of when they were due, none was dropped.\n", brief(r.Lag.Quantile(0.99)))
		return
	}
	out.printf("THE RUN IS NOT VALID:\n")
	for _, reason := range r.Invalid {
		out.printf("  %s\n", reason)
	}
}

// WriteComparison shows what a closed loop made of the same schedule, and explains why it
// is not the same.
func WriteComparison(w io.Writer, open, closed *Result) error {
	out := &printer{w: w}
	out.printf("The same schedule, sent when it is due and by a naive closed loop:\n\n")
	out.table(func(w io.Writer) {
		fmt.Fprintf(w, "\tOPEN LOOP\tCLOSED LOOP\n")
		fmt.Fprintf(w, "scheduled\t%d\t%d\n", open.Scheduled, closed.Scheduled)
		fmt.Fprintf(w, "sent\t%d\t%d\n", open.Sent, closed.Sent)
		fmt.Fprintf(w, "never sent\t%d\t%d\n", open.Dropped, closed.Dropped)
		for _, s := range shown {
			fmt.Fprintf(w, "%s\t%s\t%s\n", s.name, brief(open.Latency.Quantile(s.q)), brief(closed.Latency.Quantile(s.q)))
		}
		fmt.Fprintf(w, "max\t%s\t%s\n", brief(open.Latency.Max()), brief(closed.Latency.Max()))
		fmt.Fprintf(w, "mean\t%s\t%s\n", brief(open.Latency.Mean()), brief(closed.Latency.Mean()))
	})
	p99 := closed.Latency.Quantile(0.99)
	out.printf("\n%s", explanation)
	out.printf("Here it left out %d of %d requests (%.1f %%). Of those that users would have sent, %d waited longer\n"+
		"than %s, which it shows as its p99; it saw %d of them.\n",
		closed.Dropped, closed.Scheduled, 100*float64(closed.Dropped)/float64(max(closed.Scheduled, 1)),
		open.Latency.Above(p99), brief(p99), closed.Latency.Above(p99))
	return out.err
}

const explanation = `A closed loop waits for an answer before it sends again, and measures from when it sent. While the
target stalls it sends nothing, so that the requests which would have waited are missing from its
figures: it omits them in coordination with the target. The open loop sends when users would, and
measures from when the request was due. Its figures are the ones that users see.
`

type column struct {
	name string
	h    Histogram
}

// A printer keeps the first error.
type printer struct {
	w   io.Writer
	err error
}

func (p *printer) printf(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func (p *printer) table(write func(w io.Writer)) {
	const padding = 2
	t := tabwriter.NewWriter(p.w, 0, 0, padding, ' ', 0)
	write(t)
	p.err = cmp.Or(p.err, t.Flush())
}

func (p *printer) quantiles(columns []column) {
	p.table(func(w io.Writer) {
		row := func(name string, value func(Histogram) time.Duration) {
			fmt.Fprint(w, name)
			for _, c := range columns {
				fmt.Fprintf(w, "\t%s", brief(value(c.h)))
			}
			fmt.Fprintln(w)
		}
		for _, c := range columns {
			fmt.Fprintf(w, "\t%s", c.name)
		}
		fmt.Fprintln(w)
		for _, s := range shown {
			row(s.name, func(h Histogram) time.Duration { return h.Quantile(s.q) })
		}
		row("max", Histogram.Max)
		row("mean", Histogram.Mean)
	})
}

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

// brief returns d with three digits that count.
func brief(d time.Duration) string {
	for unit := time.Duration(1); unit < time.Second; unit *= 10 {
		if d.Abs() < 1000*unit {
			return d.Round(unit).String()
		}
	}
	return d.Round(time.Second / 100).String()
}
