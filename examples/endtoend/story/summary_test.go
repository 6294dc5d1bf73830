package story_test

import (
	"bytes"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/spillwaymq/spillway/examples/endtoend/story"
)

// long is a summary of the longest story, whose figures are as wide as they get.
func long() *story.Summary {
	const many = 1_350_000 // jobs in three hours
	s := &story.Summary{Scene: time.Hour, Account: story.Account{Accepted: many, Done: many, Waiting: many, Dead: 99_999, Failed: many, Again: many}}
	for _, scene := range story.Scenes() {
		s.Patterns = append(s.Patterns,
			story.Pattern{Scene: scene, Metric: "messages_pulled_total, /s", Expected: "closed in the end", Seen: "10000 → 10000 → 10000", OK: scene != story.Spike})
	}
	tenant := story.TenantSummary{Name: "umbrella", Sent: many, Accepted: many, Refused: many, Done: many}
	for i := range tenant.P99 {
		tenant.P99[i] = 59*time.Minute + 59*time.Second + 900*time.Millisecond
	}
	s.Tenants = append(s.Tenants, tenant)
	return s
}

func text(t *testing.T, s *story.Summary) string {
	t.Helper()
	var b bytes.Buffer
	if err := s.WriteText(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestASummaryFitsInto80Columns(t *testing.T) {
	lost := long()
	lost.Account.Lost = 12
	short := long()
	short.Scene, short.Late = time.Second/3, time.Hour
	for _, s := range []*story.Summary{long(), lost, short} {
		for line := range strings.Lines(text(t, s)) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
				t.Errorf("%d columns: %s", n, line)
			}
		}
	}
}

func TestAMomentFitsInto80ColumnsAnd20Rows(t *testing.T) {
	for _, scene := range story.Scenes() {
		for _, part := range []story.Part{story.Playing, story.Finishing, story.Draining} {
			for _, in := range []time.Duration{0, 19 * time.Second} {
				m := story.Moment{
					Elapsed: 3 * time.Hour, Scene: scene, In: in, Length: 20 * time.Second, Part: part,
					Tenants: make([]story.TenantMoment, 4), Pulled: 9999, Paused: "disconnected", Running: 999, Workers: 999,
					Limit: 999, Breaker: "half_open", Inside: 999, Served: 9999, Failed: 1_000_000, Accepted: 1_350_000, Done: 1_350_000,
				}
				table := m.Table()
				if n := strings.Count(table, "\n"); n > 20 { // of 24: there are lines above
					t.Errorf("%d rows:\n%s", n, table)
				}
				for line := range strings.Lines(table) {
					if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
						t.Errorf("%d columns: %s", n, line)
					}
				}
			}
		}
	}
}

func TestABusyMachineIsTold(t *testing.T) {
	s := long()
	s.Late = 20 * time.Millisecond
	if got := text(t, s); s.Busy() || strings.Contains(got, "busy") {
		t.Errorf("of 20 ms:\n%s", got)
	}
	s.Late++
	if got := text(t, s); !s.Busy() || !strings.Contains(got, "This machine was busy: requests were sent up to 20ms late.") {
		t.Errorf("of a little more:\n%s", got)
	}
}

func TestScenesThatAreTooShortAreNotJudged(t *testing.T) {
	const note = "Not judged: scenes of "
	judged := text(t, long())
	if strings.Count(judged, " yes\n") != 2 || strings.Count(judged, " NO\n") != 1 || strings.Contains(judged, note) {
		t.Errorf("of an hour:\n%s", judged)
	}
	least := long()
	least.Scene = story.LeastJudged
	if strings.Contains(text(t, least), note) {
		t.Errorf("of the least:\n%s", text(t, least))
	}
	short := long()
	short.Scene = 3 * time.Second
	if got := text(t, short); strings.Contains(got, " yes\n") || strings.Contains(got, " NO\n") || !strings.Contains(got, note+"3s are too short, they must have 10s.") {
		t.Errorf("of 3 s:\n%s", got)
	}
	none := long()
	none.Scene, none.Patterns = 3*time.Second, nil
	if got := text(t, none); strings.Contains(got, note) {
		t.Errorf("without a scene that was played:\n%s", got)
	}
}
