package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
	"github.com/spillwaymq/spillway/internal/scenario"
)

// benchProgress tells what a run does: on a terminal in a line that changes, with a line that
// stays for each scenario that is over; elsewhere in these alone.
type benchProgress struct {
	w      *os.File
	lively bool
}

func newBenchProgress(w *os.File) *benchProgress {
	return &benchProgress{w: w, lively: terminal.Is(w) && os.Getenv("TERM") != "dumb"}
}

const (
	lineBegin = "\r"
	lineClear = "\x1b[K"
)

func (b *benchProgress) show(p scenario.Progress) {
	line := fmt.Sprintf("%2d/%d  %-16s %6s  %s", p.Number, p.Of, p.Scenario, p.Elapsed.Round(100*time.Millisecond), p.Doing)
	if p.Ended {
		line = fmt.Sprintf("%2d/%d  %-16s %6s  %s\n", p.Number, p.Of, p.Scenario, p.Elapsed.Round(100*time.Millisecond), p.Verdict)
	}
	switch {
	case b.lively && p.Ended:
		fmt.Fprint(b.w, lineBegin+lineClear+line)
	case b.lively:
		columns, _ := terminal.Size(b.w)
		fmt.Fprint(b.w, lineBegin+terminal.Clip(line, columns)+lineClear)
	case p.Ended:
		fmt.Fprint(b.w, line)
	}
}

// clear makes room for what is printed next.
func (b *benchProgress) clear() {
	if b.lively {
		fmt.Fprint(b.w, lineBegin+lineClear)
	}
}
