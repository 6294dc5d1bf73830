package demo

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

var up = regexp.MustCompile(`^\x1b\[(\d+)A\r\x1b\[J`)

func TestWhatIsDrawnNeverWrapsOrScrollsAndIsDrawnOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		columns, rows, drawn := 0, 0, 0
		s := Screen{W: &out, Size: func() (int, int) { return columns, rows }}
		for i := range rapid.IntRange(1, 5).Draw(t, "draws") {
			moved := i > 0 && rapid.Bool().Draw(t, "resized")
			if i == 0 || moved {
				columns, rows = columns+rapid.IntRange(1, 120).Draw(t, "columns"), rows+rapid.IntRange(1, 40).Draw(t, "rows")
			}
			var text strings.Builder
			for _, n := range rapid.SliceOfN(rapid.IntRange(0, 200), 1, 40).Draw(t, "lines") {
				text.WriteString(strings.Repeat("é", n) + "\n")
			}
			out.Reset()
			s.Draw(text.String())
			got := out.String()
			switch found := up.FindStringSubmatch(got); {
			case moved && drawn > 0:
				if !strings.HasPrefix(got, "\x1b[H\x1b[2J") {
					t.Fatalf("after a resize it begins with %.20q", got)
				}
			case drawn > 0 && (found == nil || found[1] != fmt.Sprint(drawn)):
				t.Fatalf("%d lines are drawn, and it begins with %.20q", drawn, got)
			}
			got = strings.TrimPrefix(up.ReplaceAllString(got, ""), "\x1b[H\x1b[2J")
			drawn = strings.Count(got, "\n")
			if drawn >= rows || strings.Contains(got, "\x1b") {
				t.Fatalf("%d lines on %d rows: %q", drawn, rows, got)
			}
			for line := range strings.Lines(got) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n >= columns {
					t.Fatalf("a line of %d on %d columns", n, columns)
				}
			}
		}
	})
}
