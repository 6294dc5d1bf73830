package terminal_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
)

func TestBriefKeepsTheDigitsThatCount(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0:                             "0s",
		7:                             "7ns",
		1234:                          "1.2µs",
		12_345:                        "12µs",
		574_925_841:                   "575ms",
		1_234_567:                     "1.2ms",
		999_999_999:                   "1s",
		1_260 * time.Millisecond:      "1.3s",
		-1_260 * time.Millisecond:     "-1.3s",
		12_345 * time.Millisecond:     "12s",
		time.Hour + 3*time.Second + 1: "1h0m3s",
	} {
		if got := terminal.Brief(d); got != want {
			t.Errorf("%d ns is %s, want %s", d, got, want)
		}
	}
}

func TestBriefIsNearTheDuration(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(-1e15, 1e15).Draw(t, "d"))
		got, err := time.ParseDuration(terminal.Brief(d))
		if err != nil || (got-d).Abs() > max(d.Abs()/20, 1) {
			t.Fatalf("%v is shown as %v (%v)", d, got, err)
		}
	})
}

func TestClippedLinesAreShorterThanTheTerminalIsWide(t *testing.T) {
	text := "short\n" + strings.Repeat("é", 50) + "\n"
	if got, want := terminal.Clip(text, 40), "short\n"+strings.Repeat("é", 39)+"\n"; got != want {
		t.Errorf("clipped is %q, want %q", got, want)
	}
	if got := terminal.Clip("ab\ncd", 1); got != "\n" {
		t.Errorf("clipped to nothing is %q", got)
	}
}

func TestWhatIsNoTerminalHasAUsualSize(t *testing.T) {
	f, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	if columns, rows := terminal.Size(f); columns != 80 || rows != 24 || terminal.Is(f) {
		t.Errorf("a file is a terminal: %t, of %d columns and %d rows", terminal.Is(f), columns, rows)
	}
}
