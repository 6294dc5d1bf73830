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

// dlqChange are the flags of what changes the dead letters.
type dlqChange struct {
	settings
	dlqFilter

	Sequences []sequence `arg:"" optional:"" name:"seq" help:"Their sequences, as ls tells, in place of the flags that say which are meant."`
	All       bool       `help:"All of them: needed where no sequence and no --tenant, --reason or --since says which are meant, --dry-run apart."`
	DryRun    bool       `help:"Only tell what would be done."`
	JSON      bool       `help:"As a JSON array."`
}

// Validate is called by kong. A Limit alone does not say which are meant.
func (d *dlqChange) Validate() error {
	switch {
	case len(d.Sequences) > 0 && (d.dlqFilter != (dlqFilter{}) || d.All):
		return errors.New("give sequences, or flags that say which are meant, not both")
	case d.All && d.selects():
		return errors.New("--all means all: leave it out where --tenant, --reason or --since says which are meant")
	case len(d.Sequences) == 0 && !d.All && !d.selects() && !d.DryRun:
		return errors.New("say which dead letters are meant: by their sequences, by --tenant, --reason or --since, or --all; --dry-run tells what would be done")
	}
	return d.dlqFilter.Validate()
}

// pick returns the entries that the flags mean.
func (d *dlqChange) pick(ctx context.Context, letters *dlq.Letters) iter.Seq2[dlq.Entry, error] {
	if len(d.Sequences) > 0 {
		return letters.Pick(ctx, numbers(d.Sequences)...)
	}
	return letters.List(ctx, d.filter())
}

// changeFunc changes entries, and tells what became of each.
type changeFunc func(ctx context.Context, letters *dlq.Letters, entries iter.Seq2[dlq.Entry, error]) iter.Seq2[dlq.Result, error]

// change runs f on what the flags mean, and shows what became of each.
func (d *dlqChange) change(p *process, done string, f changeFunc) error {
	if d.DryRun {
		done = "would be " + done
	}
	return d.withLetters(p, func(ctx context.Context, letters *dlq.Letters) error {
		out := newListing(p.stdout, d.JSON, "SEQ", "TENANT", "SUBJECT", "RESULT")
		failures, err := showResults(out, done, f(ctx, letters, d.pick(ctx, letters)))
		if err != nil {
			return errors.Join(err, out.abandon())
		}
		if err := out.close(d.none(letters)); err != nil {
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
