package breaker_test

import (
	"testing"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

// A simulation begins where it likes: at the epoch of Unix, or in the next century.
func TestAClockMayBeginFarFromToday(t *testing.T) {
	for _, begin := range []time.Time{time.Unix(0, 0), time.Date(2150, 1, 1, 0, 0, 0, 0, time.UTC)} {
		b := newBreaker(t, breaker.Config{MinCalls: 1})
		call(t, b, begin, breaker.Failure)
		if ok, until := b.Ready(begin); ok || until.Sub(begin) > 6*time.Second {
			t.Errorf("from %v: open for %v, ready %t", begin, until.Sub(begin), ok)
		}
		if _, err := b.AllowAt(begin.Add(6 * time.Second)); err != nil {
			t.Errorf("from %v: wedged: %v", begin, err)
		}
	}
}

// The zero time is passed by mistake, now and then, among times that are right.
func TestAClockThatLeapsCenturiesToAndFroIsHarmless(t *testing.T) {
	b := newBreaker(t, breaker.Config{MinCalls: 1, Probes: 1, ProbeTimeout: time.Second})
	for i := range 40 {
		leap := []time.Time{{}, start.AddDate(500, 0, 0), start}[i%3]
		if p, err := b.AllowAt(leap); err == nil && i%2 == 0 {
			p.RecordAt(leap, breaker.Failure)
		}
		b.SnapshotAt(start)
	}
	now := start
	for range 5 { // all that is out gives up its place, all that is open ends
		_, until := b.Ready(now)
		if until.Sub(now) > 72*time.Second {
			t.Fatalf("closed to calls for %v: %+v", until.Sub(now), b.SnapshotAt(now))
		}
		now = now.Add(72 * time.Second)
		if p, err := b.AllowAt(now); err == nil {
			p.RecordAt(now, breaker.Success)
		}
	}
	if s := b.SnapshotAt(now); s.State != breaker.Closed {
		t.Errorf("%+v, but its probes succeed", s)
	}
}

// A snapshot is the first to see that the clock was set back.
func TestASnapshotFollowsTheClockThatWasSetBack(t *testing.T) {
	b, until := opened(t, breaker.Config{Probes: 1, ProbeTimeout: time.Minute})
	earlier := start.Add(-time.Hour)
	if s := b.SnapshotAt(earlier); !s.Until.Equal(until.Add(-time.Hour)) || !s.Since.Equal(earlier) {
		t.Errorf("open since %v until %v from now, want 0 and %v", s.Since.Sub(earlier), s.Until.Sub(earlier), until.Sub(start))
	}
	if s := b.SnapshotAt(start); !s.Until.Equal(until) {
		t.Errorf("looking has changed until when it is open by %v", s.Until.Sub(until))
	}
	if _, err := b.AllowAt(until); err != nil {
		t.Fatal(err)
	}
	if s := b.SnapshotAt(until.Add(-time.Hour)); !s.Until.Equal(until.Add(time.Minute - time.Hour)) {
		t.Errorf("the probe gives up its place in %v, want 1m", s.Until.Sub(until.Add(-time.Hour)))
	}
}
