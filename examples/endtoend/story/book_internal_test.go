package story

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer"
)

func TestQuantilesAreWithinATwentieth(t *testing.T) {
	var w waits
	if got := w.quantile(0.99); got != 0 {
		t.Errorf("quantile of nothing is %v", got)
	}
	for i := range 1000 {
		w.add(time.Duration(i+1) * time.Millisecond)
	}
	for q, want := range map[float64]time.Duration{0.5: 500 * time.Millisecond, 0.99: 990 * time.Millisecond, 1: time.Second} {
		if got := w.quantile(q); got < want || got > want*106/100 {
			t.Errorf("quantile %v is %v, want %v or a twentieth more", q, got, want)
		}
	}
	w.add(1000 * time.Hour)
	if got := w.quantile(1); got < time.Hour {
		t.Errorf("the longest is %v", got)
	}
}

func TestABookCountsEachJobOnce(t *testing.T) {
	b := new(book)
	id := b.sent(flooder)
	b.stored(id)
	b.answered(flooder, http.StatusAccepted)
	m := &consumer.Message{Tenant: flooder, Attempt: 1, Header: nats.Header{jobID: {id}}}
	b.begun(m, time.Second)
	b.ended(m, errors.New("billing is slow"))
	b.ended(m, nil)
	b.ended(m, nil) // delivered again
	b.ended(&consumer.Message{Tenant: "somebody", Header: nats.Header{jobID: {"99"}}}, nil)
	c := b.look()[0]
	if c.sent != 1 || c.accepted != 1 || c.done != 1 || b.again != 1 || b.failed != 1 || c.recent.quantile(1) < time.Second {
		t.Errorf("counted %d sent, %d accepted, %d done, %d again, %d failed", c.sent, c.accepted, c.done, b.again, b.failed)
	}
	if again := b.look()[0]; again.recent.n != 0 || again.waits[Normal].n != 1 {
		t.Error("recent waits are told twice, or those of the scene are gone")
	}
}

func TestASeriesKnowsWhetherItFellAndRoseAgain(t *testing.T) {
	var s series
	for _, v := range []float64{10, 14, 3, 8, 4} {
		s.add(v)
	}
	if want := (series{n: 5, first: 10, last: 4, least: 3, most: 14, rebound: 8}); s != want {
		t.Errorf("series is %+v, want %+v", s, want)
	}
}

// busy is a moment with numbers as wide as they get.
func busy() Moment {
	m := Moment{
		Elapsed: time.Hour, Scene: SlowDownstream, Length: time.Hour, Page: "http://127.0.0.1:65535", Paused: consumer.PauseDisconnected,
		Pulled: 99999, Served: 99999, Running: 32, Workers: 32, Limit: 32, Inside: 9999, Breaker: consumer.BreakerHalfOpen,
		Accepted: 12345678, Done: 1234567, Failed: 123456,
	}
	for _, name := range tenants {
		m.Tenants = append(m.Tenants, TenantMoment{name, 99999, 99999, 99999, 99999, 9999999, time.Hour, time.Hour})
	}
	return m
}

func TestATerminalOf80By24ShowsAll(t *testing.T) {
	for part := Playing; part <= Draining; part++ {
		for scene := range scenes {
			for _, in := range []time.Duration{0, 59 * time.Minute} {
				m := busy()
				m.Scene, m.Part, m.In = scene, part, in
				text := m.Table()
				if n := strings.Count(text, "\n"); n > 20 {
					t.Errorf("%d lines:\n%s", n, text)
				}
				for line := range strings.Lines(text) {
					if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n >= 80 {
						t.Errorf("a line of %d columns: %s", n, line)
					}
				}
			}
		}
	}
}

func TestASceneThatIsNotCompleteIsNotJudged(t *testing.T) {
	for _, scene := range Scenes() {
		if got := patterns(scene, track{}, new(book)); len(got) != 0 {
			t.Errorf("%v: %+v", scene, got)
		}
		if got := patterns(scene, track{complete: true}, new(book)); len(got) == 0 {
			t.Errorf("%v was complete and is not judged", scene)
		}
	}
}
