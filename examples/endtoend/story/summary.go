package story

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"
)

// A Summary is what was seen and what became of every job.
type Summary struct {
	Patterns []Pattern // of the scenes that were played to their end
	Tenants  []TenantSummary
	Account  Account
	Scene    time.Duration // how long each was; those below LeastJudged are not judged
	Late     time.Duration // how late one request in a hundred was sent, in the worst scene
}

// Busy reports whether the machine was too busy to send the tenants' requests when they were
// due. Then it is too busy for the rest of the story as well, and patterns that do not show
// tell of it, not of the worker.
func (s *Summary) Busy() bool { return s.Late > mostLate }

const mostLate = 20 * time.Millisecond

// TenantSummary is one tenant over all scenes.
type TenantSummary struct {
	Name                          string
	Sent, Accepted, Refused, Done int
	P99                           [scenes]time.Duration // wait, by scene
}

// summary requires that the worker has ended.
func (st *stage) summary(ctx context.Context) (*Summary, error) {
	s := &Summary{Scene: st.cfg.Scene, Late: st.late}
	for _, scene := range Scenes() {
		s.Patterns = append(s.Patterns, patterns(scene, st.watch.seen(scene), st.book)...)
	}
	for i, c := range st.book.look() {
		t := TenantSummary{Name: tenants[i], Sent: c.sent, Accepted: c.accepted, Refused: c.refused, Done: c.done}
		for scene := range t.P99 {
			t.P99[scene] = c.waits[scene].quantile(0.99)
		}
		s.Tenants = append(s.Tenants, t)
	}
	var err error
	s.Account, err = account(ctx, st.cfg.JetStream, st.book)
	return s, err
}

// WriteText writes it for people, within 80 columns.
func (s *Summary) WriteText(w io.Writer) error {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	if len(s.Patterns) > 0 {
		p("%-28s %-17s %-22s %s", "METRIC", "EXPECTED", "SEEN", "SO?")
	}
	scene := scenes
	for _, x := range s.Patterns {
		if x.Scene != scene {
			scene = x.Scene
			p("%s", scene)
		}
		p("  %-26s %-17s %-22s %s", x.Metric, x.Expected, x.Seen, s.verdict(x))
	}
	if len(s.Patterns) > 0 && s.Scene < LeastJudged {
		p("Not judged: scenes of %v are too short, they must have %v.", s.Scene, LeastJudged)
	}
	if s.Busy() {
		p("This machine was busy: requests were sent up to %s late. What is not as", brief(s.Late))
		p("expected may be because of that.")
	}
	p("")
	p("%-10s %7s %8s %7s %7s %17s %8s %8s", "TENANT", "POSTED", "ACCEPTED", "503", "DONE", "WAIT p99: normal", "spike", "slow")
	for _, t := range s.Tenants {
		p("%-10s %7d %8d %7d %7d %17s %8s %8s", t.Name, t.Sent, t.Accepted, t.Refused, t.Done, brief(t.P99[0]), brief(t.P99[1]), brief(t.P99[2]))
	}
	a := s.Account
	p("")
	p("%d jobs accepted, by id:", a.Accepted)
	p("= %d done + %d waiting in JetStream + %d dead-lettered + %d lost", a.Done, a.Waiting, a.Dead, a.Lost)
	if a.Lost > 0 {
		p("%d LOST: this is a bug, please report it.", a.Lost)
	} else {
		p("nothing lost; %d runs failed and were retried,\n%d jobs ran to their end twice.", a.Failed, a.Again)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// verdict says whether x came as expected, "-" if that would be chance.
func (s *Summary) verdict(x Pattern) string {
	switch {
	case s.Scene < LeastJudged:
		return "-"
	case x.OK:
		return "yes"
	}
	return "NO"
}
