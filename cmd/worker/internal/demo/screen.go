package demo

import (
	"fmt"
	"io"
	"strings"

	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
)

// Screen draws texts over each other. It is of one goroutine.
type Screen struct {
	W    io.Writer
	Size func() (columns, rows int) // of the terminal that W is

	drawn         int // lines that are on the terminal
	columns, rows int // of it, when they were drawn
}

// Draw writes text over what was drawn before. No line may wrap and nothing may scroll:
// the way back up would be another one.
func (s *Screen) Draw(text string) {
	columns, rows := s.Size()
	over := ""
	switch {
	case s.drawn == 0:
	case columns == s.columns && rows == s.rows:
		over = fmt.Sprintf("\x1b[%dA\r\x1b[J", s.drawn)
	default: // the terminal may have moved anything
		over = "\x1b[H\x1b[2J"
	}
	lines := strings.SplitAfter(terminal.Clip(text, columns), "\n")
	lines = lines[:min(len(lines)-1, max(rows-1, 0))] // the last is empty
	s.drawn, s.columns, s.rows = len(lines), columns, rows
	fmt.Fprint(s.W, over+strings.Join(lines, ""))
}
