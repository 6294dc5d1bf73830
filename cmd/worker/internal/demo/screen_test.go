package demo

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/consumer"
)

// flood is a moment with numbers as wide as they get.
func flood() moment {
	m := moment{elapsed: 59 * time.Minute, scene: SlowDownstream, failed: 12345, snap: consumer.Snapshot{
		InFlight: 8, Workers: 8, Backlog: 123456, Held: 4096, HeldMax: 4096,
	}}
	for _, name := range Tenants() {
		m.tenants = append(m.tenants, tenantNow{
			row:   row{tenant: name, published: 123456789, handled: 12345678, p50: 59 * time.Minute, p99: 59 * time.Minute},
			state: consumer.TenantState{Queued: 4096, InFlight: 8, Shedding: true}, rate: 12345, share: 1,
		})
	}
	return m
}

func TestATerminalOfEightyColumnsShowsAll(t *testing.T) {
	for line := range strings.Lines(flood().table()) {
		if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n >= 80 {
			t.Errorf("line of %d columns: %s", n, line)
		}
	}
}

func TestFortyColumnsShowWhatMattersMost(t *testing.T) {
	for line := range strings.Lines(flood().table()) {
		if strings.Contains(line, "TENANT") && !strings.Contains(line[:40], "/SEC TIME WAIT P99") {
			t.Errorf("the first 40 columns are %q", line[:40])
		}
	}
}

var up = regexp.MustCompile(`^\x1b\[(\d+)A\r\x1b\[J`)

func TestWhatIsDrawnNeverWrapsOrScrollsAndIsDrawnOver(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var out bytes.Buffer
		columns, rows, drawn := 0, 0, 0
		s := Screen{W: &out, Size: func() (int, int) { return columns, rows }}
		for i := range rapid.IntRange(1, 5).Draw(t, "redraws") {
			moved := i > 0 && rapid.Bool().Draw(t, "resized")
			if i == 0 || moved {
				columns, rows = columns+rapid.IntRange(1, 120).Draw(t, "columns"), rows+rapid.IntRange(1, 40).Draw(t, "rows")
			}
			out.Reset()
			s.redraw(flood().table())
			text := out.String()
			switch found := up.FindStringSubmatch(text); {
			case moved && drawn > 0:
				if !strings.HasPrefix(text, "\x1b[H\x1b[2J") {
					t.Fatalf("after a resize it begins with %.20q", text)
				}
			case drawn > 0 && (found == nil || found[1] != fmt.Sprint(drawn)):
				t.Fatalf("%d lines are drawn, and it begins with %.20q", drawn, text)
			}
			text = strings.TrimPrefix(up.ReplaceAllString(text, ""), "\x1b[H\x1b[2J")
			drawn = strings.Count(text, "\n")
			if drawn >= rows || strings.Contains(text, "\x1b") {
				t.Fatalf("%d lines on %d rows: %q", drawn, rows, text)
			}
			for line := range strings.Lines(text) {
				if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n >= columns {
					t.Fatalf("a line of %d on %d columns", n, columns)
				}
			}
		}
	})
}

func TestWithoutATerminalEachSceneIsToldOnce(t *testing.T) {
	var out bytes.Buffer
	tally := NewTally()
	worked := map[string]time.Duration{Flooder: time.Second, "globex": 3 * time.Second}
	s := Screen{W: &out, Tally: tally, scene: scenarios, handled: map[string]int{}, worked: map[string]time.Duration{}, Snapshot: func() consumer.Snapshot {
		var snap consumer.Snapshot
		for name, took := range worked {
			snap.Tenants = append(snap.Tenants, consumer.TenantState{Tenant: name, WorkerTime: took})
		}
		return snap
	}}
	s.show(time.Second, Normal)
	worked[Flooder] += time.Second
	s.show(2*time.Second, Spike)
	s.show(3*time.Second, Spike)
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{
		"1s normal: every tenant publishes 50 messages/s", "acme 0/s time 25% wait p99 - | globex 0/s time 75%",
		"2s spike: acme publishes 10 times as much", "acme 0/s time 100% wait p99 - | globex 0/s time 0%",
		"acme 0/s time 0% ", "",
	} {
		if i >= len(lines) || !strings.Contains(lines[i], want) || strings.Contains(lines[i], "\x1b") {
			t.Errorf("lines are\n%s\nwant %q in line %d", &out, want, i)
		}
	}
}

func TestTheScenesAreAnnounced(t *testing.T) {
	for duration, want := range map[time.Duration]string{
		0:                "3 scenes, one after another, of 20s each, again and again:",
		30 * time.Second: "3 scenes, one after another, of 10s each:",
		time.Hour:        "3 scenes, one after another, of 20s each, again and again:",
	} {
		var out bytes.Buffer
		Announce(&out, duration)
		for _, line := range []string{want, "1 normal ", "2 spike ", "10 times as much", "3 slow downstream "} {
			if !strings.Contains(out.String(), line) {
				t.Errorf("announced for %v is\n%s\nwant %q", duration, &out, line)
			}
		}
	}
}
