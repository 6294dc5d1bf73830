package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"unicode"
)

// maxHeld is how many rows are held to find how wide the columns must be.
const maxHeld = 500

// listing writes rows as they come: a table, or a JSON array.
type listing struct {
	w     io.Writer
	table *tabwriter.Writer // nil: JSON
	rows  int
}

func newListing(w io.Writer, asJSON bool, columns ...string) *listing {
	l := &listing{w: w}
	if !asJSON {
		l.table = tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintln(l.table, strings.Join(columns, "\t"))
	}
	return l
}

// add writes a row: value as JSON, or cells.
func (l *listing) add(value any, cells ...any) error {
	l.rows++
	if l.table != nil {
		if _, err := fmt.Fprintln(l.table, joinCells(cells)); err != nil || l.rows%maxHeld != 0 {
			return err
		}
		return l.table.Flush()
	}
	text, err := json.MarshalIndent(value, "  ", "  ")
	if err != nil {
		return err
	}
	separator := ",\n  "
	if l.rows == 1 {
		separator = "[\n  "
	}
	_, err = fmt.Fprintf(l.w, "%s%s", separator, text)
	return err
}

// abandon ends a list that could not be read to its end: without rows it says nothing,
// as it is not known that there are none.
func (l *listing) abandon() error {
	if l.rows == 0 {
		return nil
	}
	return l.close("")
}

// close writes what is left; none is what a table without rows says.
func (l *listing) close(none string) error {
	switch {
	case l.table != nil && l.rows == 0:
		_, err := fmt.Fprintln(l.w, none)
		return err
	case l.table != nil:
		return l.table.Flush()
	case l.rows == 0:
		_, err := fmt.Fprintln(l.w, "[]")
		return err
	}
	_, err := fmt.Fprintln(l.w, "\n]")
	return err
}

func joinCells(cells []any) string {
	texts := make([]string, len(cells))
	for i, c := range cells {
		texts[i] = shown(fmt.Sprint(c))
	}
	return strings.Join(texts, "\t")
}

// maxCell bounds the width of a column.
const maxCell = 72

// shown returns a stranger's text for a cell.
func shown(s string) string {
	if s == "" {
		return "-"
	}
	if runes := []rune(printable(s)); len(runes) > maxCell {
		return string(runes[:maxCell-1]) + "…"
	}
	return printable(s)
}

// printable returns a stranger's text so that it can do a terminal no harm: quoted, if
// something in it is not to be printed.
func printable(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 {
		return s
	}
	return strconv.QuoteToGraphic(s)
}

// printableLines does as printable, line by line.
func printableLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\t", "    "), "\n")
	for i, l := range lines {
		lines[i] = printable(l)
	}
	return strings.Join(lines, "\n")
}

func unprintable(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }
