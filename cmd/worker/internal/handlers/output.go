package handlers

import (
	"bytes"
	"iter"
	"strings"
)

// maxTail bounds how much of a command's output is kept: its end, where errors are.
const maxTail = 8 << 10

// tail is a writer that keeps the end of what is written.
type tail struct {
	kept []byte
	cut  bool
}

func (t *tail) Write(p []byte) (int, error) {
	n := len(p)
	if len(p) > maxTail {
		p, t.cut = p[len(p)-maxTail:], true
	}
	if over := len(t.kept) + len(p) - maxTail; over > 0 {
		t.kept, t.cut = append(t.kept[:0], t.kept[over:]...), true
	}
	t.kept = append(t.kept, p...)
	return n, nil
}

// lines yields what was kept, less the line whose beginning was not.
func (t *tail) lines() iter.Seq[string] {
	return func(yield func(string) bool) {
		text := t.kept
		if t.cut {
			_, text, _ = bytes.Cut(text, []byte("\n"))
		}
		for line := range bytes.Lines(text) {
			if s := strings.ToValidUTF8(strings.TrimRight(string(line), "\r\n"), "�"); s != "" && !yield(s) {
				return
			}
		}
	}
}

// shown returns the end of the output as the end of an error's text.
func (t *tail) shown() string {
	text := bytes.TrimSpace(t.kept)
	if over := len(text) - maxShown; over > 0 {
		text = text[over:]
	}
	if s := shorten(text); s != "" {
		return ": " + s
	}
	return ""
}
