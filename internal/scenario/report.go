package scenario

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spillwaymq/spillway/internal/measure"
)

// Report is everything that a run found out.
type Report struct {
	Version     string          `json:"version"`
	Machine     measure.Machine `json:"machine"`
	Began       time.Time       `json:"began"`
	Seed        uint64          `json:"seed"`
	Scale       float64         `json:"scale"`
	Embedded    bool            `json:"embedded"` // on a server of its own, in the same process
	Rows        []Row           `json:"rows"`
	Took        []Took          `json:"took"`
	Interrupted bool            `json:"interrupted"` // broken off before its end
	// Disturbed are the scenarios whose figures say little, as other programs took much of
	// the processors meanwhile.
	Disturbed []Disturbance `json:"disturbed,omitempty"`
	// Left is what could not be removed from the server.
	Left []string `json:"left,omitempty"`
}

// Took is how long a scenario took.
type Took struct {
	Scenario string  `json:"scenario"`
	Seconds  float64 `json:"seconds"`
}

// Disturbance is a scenario that was disturbed, and the share of all processors that other
// programs took in the worst second.
type Disturbance struct {
	Scenario string  `json:"scenario"`
	Share    float64 `json:"share"`
}

func (r *Report) add(s Scenario, rows []Row) {
	for _, row := range rows {
		row.Scenario = s.Name
		r.Rows = append(r.Rows, row)
	}
}

// Holds reports whether no row fell short and the run came to its end.
func (r *Report) Holds() bool { return r.count(Short) == 0 && !r.Interrupted }

func (r *Report) count(v Verdict) (n int) {
	for _, row := range r.Rows {
		if row.Verdict == v {
			n++
		}
	}
	return n
}

// WriteJSON writes it as one JSON document.
func (r *Report) WriteJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(r)
}

var columns = []string{"scenario", "claim", "plain", "ours", "ratio", "bound", "verdict"}

func (r Row) cells() []string {
	ratio := ""
	switch {
	case r.Ratio >= 10:
		ratio = fmt.Sprintf("%.1f", r.Ratio)
	case r.Ratio >= 0.1:
		ratio = fmt.Sprintf("%.3f", r.Ratio)
	case r.Ratio > 0:
		ratio = fmt.Sprintf("%.4f", r.Ratio)
	}
	cells := []string{r.Scenario, r.Claim, r.Plain.String(), r.Ours.String(), ratio, r.Bound, string(r.Verdict)}
	for i := range cells {
		if cells[i] == "" {
			cells[i] = "-"
		}
	}
	return cells
}

// WriteTable writes it for a terminal: the machine, a line for each row, and the notes.
func (r *Report) WriteTable(w io.Writer) error {
	if _, err := fmt.Fprintf(w, "%s\n\n", r.Heading()); err != nil {
		return err
	}
	tw := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(tw, strings.ToUpper(strings.Join(columns, "\t")))
	last := ""
	for _, row := range r.Rows {
		cells := row.cells()
		if row.Scenario == last {
			cells[0] = ""
		}
		last = row.Scenario
		fmt.Fprintln(tw, strings.Join(cells, "\t"))
	}
	if err := tw.Flush(); err != nil {
		return err
	}
	return r.writeNotes(w)
}

// WriteMarkdown writes it as a table of Markdown, under the name of the machine.
func (r *Report) WriteMarkdown(w io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n| %s |\n|%s\n", r.Heading(), strings.Join(columns, " | "), strings.Repeat(" --- |", len(columns)))
	escape := strings.NewReplacer("|", `\|`)
	for _, row := range r.Rows {
		fmt.Fprintf(&b, "| %s |\n", escape.Replace(strings.Join(row.cells(), "\x00")))
	}
	if _, err := io.WriteString(w, strings.ReplaceAll(b.String(), "\x00", " | ")); err != nil {
		return err
	}
	return r.writeNotes(w)
}

// Heading says where and how the figures were taken.
func (r *Report) Heading() string {
	server := "a server of the user's"
	if r.Embedded {
		server = "an embedded NATS with file storage in the same process"
	}
	s := fmt.Sprintf("%s; %s, on %s, %s; seed %d", strings.TrimSpace("spillway "+r.Version), r.Began.Format(time.DateOnly), r.Machine, server, r.Seed)
	if r.Scale != 1 {
		s += fmt.Sprintf("; scale %v, which the bounds are not meant for", r.Scale)
	}
	return s
}

func (r *Report) writeNotes(w io.Writer) error {
	var b strings.Builder
	for _, row := range r.Rows {
		if row.Note != "" {
			fmt.Fprintf(&b, "%s, %s: %s\n", row.Scenario, row.Claim, row.Note)
		}
	}
	for _, d := range r.Disturbed {
		fmt.Fprintf(&b, "NOT VALID: %s: other programs took up to %.0f %% of the processors; only what is exact counts.\n", d.Scenario, 100*d.Share)
	}
	for _, left := range r.Left {
		fmt.Fprintf(&b, "LEFT BEHIND: %s\n", left)
	}
	if r.Interrupted {
		b.WriteString("BROKEN OFF before its end: what is missing was not run.\n")
	}
	if b.Len() > 0 {
		if _, err := fmt.Fprintf(w, "\n%s", b.String()); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintf(w, "\n%d ok, %d short, %d skipped.\n", r.count(OK), r.count(Short), r.count(Skipped))
	return err
}
