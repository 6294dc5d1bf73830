package terminal

import (
	"os"
	"strings"
	"time"
)

// Is reports whether somebody may be looking at f. Other devices, such as the null
// device, count as a terminal: nobody parses what is written there.
func Is(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// What is taken for the size of a terminal that does not tell it.
const (
	usualColumns = 80
	usualRows    = 24
)

// Size returns how many columns and rows the terminal f has now.
func Size(f *os.File) (columns, rows int) {
	columns, rows = size(f)
	if columns <= 0 || rows <= 0 {
		return usualColumns, usualRows
	}
	return columns, rows
}

// Clip cuts each line of text to less than columns: a terminal may wrap a line that
// fills it.
func Clip(text string, columns int) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if runes := []rune(l); len(runes) >= columns {
			lines[i] = string(runes[:max(columns-1, 0)])
		}
	}
	return strings.Join(lines, "\n")
}

// Brief returns d with two or three digits that count: 1.2ms, 575ms, 12s, 1h0m3s.
func Brief(d time.Duration) string {
	unit := time.Second
	for unit > 1 && d.Abs() < unit {
		unit /= 1000
	}
	if d.Abs() < 10*unit {
		unit /= 10
	}
	return d.Round(unit).String()
}
