package main

import (
	"encoding/json"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spillwaymq/spillway/internal/measure"
)

// report is everything that a run found out.
type report struct {
	Machine measure.Machine `json:"machine"`
	Rows    []row           `json:"rows"`
}

// row is one claim and what became of it.
type row struct {
	Scenario string  `json:"scenario"`
	Claim    string  `json:"claim"`
	Peer     figure  `json:"peer"`
	Ours     figure  `json:"ours"`
	Ratio    float64 `json:"ratio,omitempty"`
	Bound    string  `json:"bound,omitempty"`
	Verdict  verdict `json:"verdict,omitempty"`
	Note     string  `json:"note,omitempty"`
}

// verdict is empty for a figure that has no bound.
type verdict string

const (
	held   verdict = "ok"
	missed verdict = "MISSED"
)

func judge(ok bool) verdict {
	if ok {
		return held
	}
	return missed
}

// unit says how a figure is to be read.
type unit string

const (
	perSecond  unit = "msg/s"
	seconds    unit = "s"
	bytes      unit = "B"
	nanos      unit = "ns/op"
	perOp      unit = "allocs/op"
	share      unit = "share"
	perMessage unit = "/msg"
)

// figure is a measured value; without a unit there is none.
type figure struct {
	Value float64 `json:"value"`
	Unit  unit    `json:"unit,omitempty"`
}

func duration(d time.Duration) figure { return figure{d.Seconds(), seconds} }

func (f figure) String() string {
	switch f.Unit {
	case perSecond:
		return fmt.Sprintf("%.1fk/s", f.Value/1000)
	case seconds:
		return round(time.Duration(f.Value * float64(time.Second))).String()
	case bytes:
		return fmt.Sprintf("%.1f MiB", f.Value/(1<<20))
	case nanos:
		return fmt.Sprintf("%.0f ns/op", f.Value)
	case perOp:
		return fmt.Sprintf("%.0f allocs/op", f.Value)
	case perMessage:
		return fmt.Sprintf("%.4f a message", f.Value)
	case share:
		return fmt.Sprintf("%.0f %%", 100*f.Value)
	}
	return "-"
}

// round keeps three digits or so.
func round(d time.Duration) time.Duration {
	unit := time.Duration(1)
	for d/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// held reports whether no bound was missed.
func (r report) held() bool {
	for _, row := range r.Rows {
		if row.Verdict == missed {
			return false
		}
	}
	return true
}

func (r report) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(r)
}

func (r report) writeTable(w io.Writer) error {
	if _, err := fmt.Fprintln(w, r.Machine); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(tw, "\nscenario\tclaim\tpeer\tours\tratio\tbound\tverdict\tnote")
	for _, row := range r.Rows {
		if row.Peer.Unit == "" && row.Ours.Unit == "" {
			continue // nobody ran
		}
		ratio := "-"
		if row.Ratio > 0 {
			ratio = fmt.Sprintf("%.3f", row.Ratio)
		}
		_, _ = fmt.Fprintf(tw, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			row.Scenario, row.Claim, row.Peer, row.Ours, ratio, dash(row.Bound), dash(string(row.Verdict)), row.Note)
	}
	return tw.Flush()
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
