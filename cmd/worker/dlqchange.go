package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/dlq"
)

// changeFunc changes entries, and tells what became of each.
type changeFunc func(ctx context.Context, letters *dlq.Letters, entries iter.Seq2[dlq.Entry, error]) iter.Seq2[dlq.Result, error]

// change runs f on what the flags mean, and shows what became of each.
func (d *dlqChange) change(p *process, done string, f changeFunc) error {
	if d.DryRun {
		done = "would be " + done
	}
	return d.withLetters(p, func(ctx context.Context, letters *dlq.Letters) error {
		entries, err := d.pick(ctx, letters, d.Sequences)
		if err != nil {
			return err
		}
		out := newListing(p.stdout, d.JSON, "SEQ", "TENANT", "SUBJECT", "RESULT")
		failures, err := showResults(out, done, f(ctx, letters, entries))
		if err := errors.Join(err, out.close("no dead letters")); err != nil {
			return err
		}
		if failures > 0 {
			return fmt.Errorf("%d of %d dead letters were not %s", failures, out.rows, done)
		}
		return nil
	})
}

// resultLine is a dlq.Result as JSON.
type resultLine struct {
	dlq.Result

	Error string `json:"error,omitempty"`
}

// showResults shows results, and returns how many are failures, and what went wrong
// that is of no entry.
func showResults(out *listing, done string, results iter.Seq2[dlq.Result, error]) (failures int, err error) {
	for r, e := range results {
		if e != nil && r.Entry == (dlq.Entry{}) {
			err = errors.Join(err, e)
			continue
		}
		line, told := resultLine{Result: r}, done
		if cause := errors.Join(r.Err, e); cause != nil {
			failures++
			line.Error, told = cause.Error(), cause.Error()
		} else if r.Copy != 0 {
			told = fmt.Sprintf("%s to %s as %d of %s", done, r.Subject, r.Copy, r.Stream)
		}
		if e := out.add(line, r.Entry.Sequence, r.Entry.Tenant, r.Entry.Subject, told); e != nil {
			return failures, e
		}
	}
	return failures, err
}

// maxPayload bounds how much of a payload is shown to people.
const maxPayload = 4 << 10

// printLetter shows a dead letter to people.
func printLetter(w io.Writer, l dlq.Letter) error {
	line := func(name string, value any) { fmt.Fprintf(w, "%-10s %s\n", name, printable(fmt.Sprint(value))) }
	line("sequence", l.Sequence)
	line("died", l.Died.UTC().Format(time.RFC3339))
	line("tenant", l.Tenant)
	line("reason", l.Reason)
	line("attempts", l.Attempts)
	line("error", l.Error)
	line("origin", fmt.Sprintf("%s, %d of %s, published %s", l.Subject, l.OriginSequence, l.Stream, l.Published.UTC().Format(time.RFC3339)))
	for _, name := range slices.Sorted(maps.Keys(l.Header)) {
		for _, value := range l.Header[name] {
			line("header", name+": "+value)
		}
	}
	if l.Stack != "" {
		fmt.Fprintf(w, "stack\n%s\n", printableLines(l.Stack))
	}
	if l.Gone != "" {
		line("payload", "not there: "+l.Gone)
		return nil
	}
	line("payload", fmt.Sprintf("%d bytes", len(l.Data)))
	_, err := fmt.Fprintln(w, printableLines(string(l.Data[:min(len(l.Data), maxPayload)])))
	return err
}
