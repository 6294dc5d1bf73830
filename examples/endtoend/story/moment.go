package story

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// A Moment is what is shown at once. Rates are those since the last one.
type Moment struct {
	Elapsed time.Duration // since the begin of the story
	Scene   Scene
	In      time.Duration // since the begin of the scene
	Length  time.Duration // of it
	Part    Part

	Tenants  []TenantMoment
	Pulled   float64 // jobs a second
	Paused   consumer.PauseReason
	Running  int // handlers
	Workers  int
	Limit    int
	Breaker  consumer.BreakerState
	Inside   int     // calls that billing holds
	Served   float64 // calls a second
	Failed   int     // runs since the begin
	Accepted int     // jobs since the begin
	Done     int
	Page     string // URL
}

// TenantMoment is one tenant.
type TenantMoment struct {
	Name                string
	Sent, Refused, Done float64 // a second
	Queued              int
	Overflow            uint64
	P50, P99            time.Duration // wait of the jobs that began since the last moment
}

// A Part is a part of the story.
type Part int

// The parts.
const (
	Playing   Part = iota
	Finishing      // the last scene is over, and what is left is being done
	Draining       // the worker ends: what runs is finished, the rest stays in JetStream
)

// Headline says what is going on.
func (m Moment) Headline() string {
	trouble := m.In < m.Scene.trouble(m.Length)
	scene := fmt.Sprintf("scene %d of %d: %s", m.Scene+1, scenes, strings.ToUpper(m.Scene.String()))
	switch {
	case m.Part == Finishing:
		return "the scenes are over: what is left is done"
	case m.Part == Draining:
		return "draining: what runs is finished, what is left stays in JetStream"
	case m.Scene == Normal:
		return fmt.Sprintf("%s. %s posts %.0f jobs/s, the %d others %.0f each", scene, flooder, flooderRate, len(quiet()), quietRate)
	case m.Scene == Spike && trouble:
		return fmt.Sprintf("%s. %s posts %d times as many", scene, flooder, spikeFactor)
	case trouble:
		return fmt.Sprintf("%s. billing takes %d times as long", scene, slowFactor)
	}
	return scene + " is over. How long to recover?"
}

// watchFor says what to look at.
func (m Moment) watchFor() string {
	if m.Part != Playing {
		return "nothing is lost"
	}
	return [...]string{
		"all waits are short, nobody is refused",
		"503s and overflow of acme alone; the waits of the others stay",
		"the limit falls, the breaker opens, the pull stops",
	}[m.Scene]
}

// Table returns what a terminal of 80 columns and 24 rows shows.
func (m Moment) Table() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("%5s  %s", seconds(m.Elapsed), m.Headline())
	p("       watch: %s", m.watchFor())
	p("")
	p("  TENANT    POSTED     503    DONE  QUEUED  OVERFLOW     WAIT p50   p99")
	p("             req/s   req/s  jobs/s    jobs      jobs")
	for _, t := range m.Tenants {
		p("  %-8s %7.0f %7.0f %7.0f %7d %9d %12s %8s", t.Name, t.Sent, t.Refused, t.Done, t.Queued, t.Overflow, brief(t.P50), brief(t.P99))
	}
	p("")
	p("  pull     %5.0f jobs/s %s", m.Pulled, m.paused())
	p("  worker   %5d of %d handlers running", m.Running, m.Workers)
	p("  billing  %5.0f calls/s served, %d inside", m.Served, m.Inside)
	p("           %5d at once is the limit, breaker %s", m.Limit, m.Breaker)
	p("")
	p("  %d jobs accepted = %d done + %d to do", m.Accepted, m.Done, m.Accepted-m.Done)
	p("  %d runs failed and are retried", m.Failed)
	return b.String()
}

func (m Moment) paused() string {
	if m.Paused == "" {
		return ""
	}
	return "(paused: " + string(m.Paused) + ")"
}

// Line returns the same in one line, for where nothing is drawn over.
func (m Moment) Line() string {
	flood, others := m.Tenants[0], TenantMoment{}
	for _, t := range m.Tenants[1:] {
		others.Refused += t.Refused
		others.Overflow += t.Overflow
		others.P99 = max(others.P99, t.P99)
	}
	return fmt.Sprintf("%4s  acme: %.0f 503/s, overflow %d jobs, wait p99 %s | others: %.0f 503/s, overflow %d, wait p99 %s | pulled %.0f/s, done %.0f/s, limit %d, breaker %s",
		seconds(m.Elapsed), flood.Refused, flood.Overflow, brief(flood.P99), others.Refused, others.Overflow, brief(others.P99),
		m.Pulled, m.Served, m.Limit, m.Breaker)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.0fs", d.Seconds()) }

// brief returns d with two or three digits that count.
func brief(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < 10*time.Millisecond:
		return d.Round(time.Millisecond / 10).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(time.Second / 10).String()
}

// Lines returns a Config.Show that writes lines which are to be kept: what each scene is
// when it begins, and a line for each moment.
func Lines(w io.Writer) func(Moment) {
	told := ""
	return func(m Moment) {
		if told == "" {
			fmt.Fprintf(w, "%s/ is the page; /metrics, /livez and /readyz are beside it.\n", m.Page)
		}
		if now := m.Headline(); now != told {
			fmt.Fprintf(w, "%s\n", now)
			told = now
		}
		fmt.Fprintln(w, m.Line())
	}
}
