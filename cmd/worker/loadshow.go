package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
	"github.com/spillwaymq/spillway/internal/load"
)

// A loadReport is what `worker load --json` prints.
type loadReport struct {
	Target  string       `json:"target"`
	Seed    uint64       `json:"seed"`
	Poisson bool         `json:"poisson"`
	Open    *load.Result `json:"open"`
	Closed  *load.Result `json:"closed,omitempty"`
}

// loadFiles are the files that a run ends in. They are made before it, so that a wrong name
// does not show after it.
type loadFiles struct{ hdr, svg *os.File }

func (l *loadCommand) open() (f loadFiles, err error) {
	for _, named := range []struct {
		flag, name string
		file       **os.File
	}{{"--hdr", l.HDR, &f.hdr}, {"--svg", l.SVG, &f.svg}} {
		if named.name == "" {
			continue
		}
		if *named.file, err = os.Create(named.name); err != nil {
			f.close()
			return loadFiles{}, &usageError{fmt.Errorf("%s: %w", named.flag, err)}
		}
	}
	return f, nil
}

// close is for files that may have been closed: show has told what went wrong with them.
func (f loadFiles) close() {
	for _, file := range []*os.File{f.hdr, f.svg} {
		if file != nil {
			_ = file.Close()
		}
	}
}

// show prints what was seen, and writes the files.
func (l *loadCommand) show(w io.Writer, r loadReport, files loadFiles) error {
	err := writeTo(files.hdr, r.Open.Latency.WriteHDR)
	err = errors.Join(err, writeTo(files.svg, func(w io.Writer) error {
		curves := []load.Curve{{Name: "open loop", Latency: r.Open.Latency}}
		if r.Closed != nil {
			curves = append(curves, load.Curve{Name: "closed loop", Latency: r.Closed.Latency})
		}
		return load.WriteSVG(w, fmt.Sprintf("latency of %d requests to %s", r.Open.Done(), r.Target), curves...)
	}))
	if l.JSON {
		encoder := json.NewEncoder(w)
		encoder.SetIndent("", "  ")
		return errors.Join(err, encoder.Encode(r))
	}
	fmt.Fprintf(w, "%s\n", printable(r.Target))
	err = errors.Join(err, r.Open.WriteText(w))
	if r.Closed != nil {
		fmt.Fprintln(w)
		err = errors.Join(err, load.WriteComparison(w, r.Open, r.Closed))
	}
	return err
}

// writeTo writes a file that may be none, and closes it.
func writeTo(f *os.File, write func(io.Writer) error) error {
	if f == nil {
		return nil
	}
	return errors.Join(write(f), f.Close())
}

// loadProgress is a line on a terminal that changes while load is made.
type loadProgress struct {
	w *os.File // nil: it is none
}

func newLoadProgress(w *os.File) *loadProgress {
	if !terminal.Is(w) || os.Getenv("TERM") == "dumb" {
		return &loadProgress{}
	}
	return &loadProgress{w: w}
}

// show returns what is called with each progress; nil if nobody looks.
func (p *loadProgress) show() func(load.Progress) {
	if p.w == nil {
		return nil
	}
	return func(now load.Progress) { p.line(progressLine(now)) }
}

func (p *loadProgress) note(text string) { p.line(text) }

// clear makes room for what is printed next.
func (p *loadProgress) clear() { p.line("") }

func (p *loadProgress) line(text string) {
	if p.w != nil {
		const toBegin, clearLine = "\r", "\x1b[K"
		columns, _ := terminal.Size(p.w)
		fmt.Fprint(p.w, toBegin+terminal.Clip(text, columns)+clearLine)
	}
}

// progressLine has what matters most first: a narrow terminal clips it.
func progressLine(p load.Progress) string {
	const tenth = 100_000_000
	line := fmt.Sprintf("%v/%v  %.0f/s of %.0f/s sent, %.0f/s done  %d in flight  p99 %s  lag p99 %s",
		p.Elapsed.Round(tenth), p.Total, p.Sent, p.Rate, p.Done, p.InFlight, terminal.Brief(p.P99), terminal.Brief(p.LagP99))
	if p.Account.Failed > 0 {
		line += fmt.Sprintf("  %d failed", p.Account.Failed)
	}
	if p.Account.Dropped > 0 {
		line += fmt.Sprintf("  %d dropped", p.Account.Dropped)
	}
	return line
}
