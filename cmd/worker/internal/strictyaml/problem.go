package strictyaml

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Position is a place in a file, counted from 1; the zero Position is no place.
type Position struct{ Line, Column int }

// Problem is one mistake.
type Problem struct {
	Path     string // of the key, "" if it is of none
	Source   string // a file, an environment variable or a flag
	Position Position
	Text     string
}

func (p Problem) String() string {
	if p.Position == (Position{}) {
		return p.Source + ": " + p.Text
	}
	return fmt.Sprintf("%s:%d:%d: %s", p.Source, p.Position.Line, p.Position.Column, p.Text)
}

// Problems is an error of several mistakes, one a line, in the order of the file.
type Problems []Problem

func (ps Problems) Error() string {
	ordered := slices.Clone(ps)
	slices.SortStableFunc(ordered, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Position.Line, b.Position.Line), cmp.Compare(a.Position.Column, b.Position.Column))
	})
	lines := make([]string, len(ordered))
	for i, p := range ordered {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// About reports whether one of ps is about the key of path, or around or below it.
func (ps Problems) About(path string) bool {
	return slices.ContainsFunc(ps, func(p Problem) bool {
		return p.Path == path || within(p.Path, path) || within(path, p.Path)
	})
}

// within reports whether the key of path is below that of outer.
func within(path, outer string) bool {
	rest, ok := strings.CutPrefix(path, outer)
	return ok && outer != "" && (strings.HasPrefix(rest, ".") || strings.HasPrefix(rest, "["))
}

// Err returns ps as an error, nil if there is no problem.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	return ps
}
