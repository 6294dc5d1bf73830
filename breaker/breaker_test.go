package breaker_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

// call is a call at now that ends at once.
func call(t *testing.T, b *breaker.Breaker, now time.Time, r breaker.Result) {
	t.Helper()
	p, err := b.AllowAt(now)
	if err != nil {
		t.Fatalf("refused: %v", err)
	}
	p.RecordAt(now, r)
}

// opened returns a breaker that has just opened, and until when.
func opened(t *testing.T, c breaker.Config) (*breaker.Breaker, time.Time) {
	t.Helper()
	c.MinCalls = 1
	b := newBreaker(t, c)
	call(t, b, start, breaker.Failure)
	ok, until := b.Ready(start)
	if ok {
		t.Fatal("not open")
	}
	return b, until
}

func TestHalfOpenAdmitsItsProbesAndNoMore(t *testing.T) {
	b, until := opened(t, breaker.Config{Probes: 2, ProbeTimeout: time.Second})
	if b.State() != breaker.Open {
		t.Fatal(b.State())
	}
	first, err := b.AllowAt(until)
	if err != nil || b.State() != breaker.HalfOpen {
		t.Fatal(err, b.State())
	}
	if s := b.SnapshotAt(until); s.FreeProbes != 1 || !s.Until.IsZero() {
		t.Errorf("%+v, want one free probe", s)
	}
	second, err := b.AllowAt(until.Add(100 * time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	_, err = b.AllowAt(until.Add(200 * time.Millisecond))
	var open *breaker.OpenError
	if !errors.As(err, &open) || open.State != breaker.HalfOpen || !open.Until.Equal(until.Add(time.Second)) {
		t.Fatalf("%v, want to ask again when the first probe gives up its place", err)
	}
	first.RecordAt(until.Add(300*time.Millisecond), breaker.Ignored)
	if ok, _ := b.Ready(until.Add(300 * time.Millisecond)); !ok {
		t.Error("a probe that says nothing keeps its place")
	}
	second.RecordAt(until.Add(300*time.Millisecond), breaker.Success)
	if b.State() != breaker.HalfOpen {
		t.Errorf("%v after one success of two", b.State())
	}
	call(t, b, until.Add(400*time.Millisecond), breaker.Success)
	if b.State() != breaker.Closed {
		t.Errorf("%v after two successes", b.State())
	}
}

func TestALostProbeGivesUpItsPlaceAndCountsWhenItComes(t *testing.T) {
	b, now := opened(t, breaker.Config{Probes: 1, ProbeTimeout: time.Second})
	lost, err := b.AllowAt(now)
	if err != nil {
		t.Fatal(err)
	}
	if ok, until := b.Ready(now); ok || !until.Equal(now.Add(time.Second)) {
		t.Fatalf("ready %t, until %v", ok, until)
	}
	now = now.Add(time.Second)
	if _, err := b.AllowAt(now); err != nil { // is lost, too
		t.Fatalf("a lost probe wedges the breaker: %v", err)
	}
	lost.RecordAt(now.Add(time.Millisecond), breaker.Success)
	if b.State() != breaker.Closed {
		t.Errorf("%v, but a probe has succeeded, if late", b.State())
	}
}

func TestAFailedProbeOpensForTwiceAsLong(t *testing.T) {
	b, until := opened(t, breaker.Config{Open: 5 * time.Second, MaxOpen: 30 * time.Second})
	for i, want := range []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second, 30 * time.Second} {
		now := until
		call(t, b, now, breaker.Failure)
		var ok bool
		ok, until = b.Ready(now)
		if d := until.Sub(now); ok || d < want*8/10 || d > want*12/10 {
			t.Errorf("failed %d times: open for %v, want %v give or take a fifth", i+1, d, want)
		}
		if s := b.SnapshotAt(now); s.Openings != i+2 || s.State != breaker.Open {
			t.Errorf("%+v, want %d openings", s, i+2)
		}
	}
	for range 3 {
		call(t, b, until, breaker.Success)
	}
	call(t, b, until, breaker.Failure) // closed, MinCalls 1
	now := until
	if _, until = b.Ready(now); until.Sub(now) > 6*time.Second {
		t.Errorf("open for %v after it was closed, want 5s again", until.Sub(now))
	}
}

func TestASlowProbeOpensAgain(t *testing.T) {
	b, until := opened(t, breaker.Config{SlowCall: time.Second})
	p, err := b.AllowAt(until)
	if err != nil {
		t.Fatal(err)
	}
	p.RecordAt(until.Add(time.Second+1), breaker.Success)
	if b.State() != breaker.Open {
		t.Errorf("%v after a slow probe", b.State())
	}
}

func TestTheOpenTimeVaries(t *testing.T) {
	least, most := time.Hour, time.Duration(0)
	for range 300 {
		_, until := opened(t, breaker.Config{})
		d := until.Sub(start)
		least, most = min(least, d), max(most, d)
	}
	if least < 4*time.Second || least > 4500*time.Millisecond || most > 6*time.Second || most < 5500*time.Millisecond {
		t.Errorf("from %v to %v, want all of 4s to 6s", least, most)
	}
}

func TestAResultFromBeforeAChangeChangesNothing(t *testing.T) {
	b := newBreaker(t, breaker.Config{MinCalls: 1, Probes: 1, ProbeTimeout: time.Second})
	var stale []breaker.Permit
	for range 5 {
		p, err := b.AllowAt(start)
		if err != nil {
			t.Fatal(err)
		}
		stale = append(stale, p)
	}
	call(t, b, start, breaker.Failure)
	stale[0].RecordAt(start, breaker.Success) // open
	_, until := b.Ready(start)
	probe, err := b.AllowAt(until)
	if err != nil {
		t.Fatal(err)
	}
	stale[1].RecordAt(until, breaker.Failure) // half-open: would open
	stale[2].RecordAt(until, breaker.Success) // would close
	if b.State() != breaker.HalfOpen {
		t.Fatalf("a stale result made it %v", b.State())
	}
	probe.RecordAt(until, breaker.Success)
	stale[3].RecordAt(until, breaker.Failure) // closed again: would open
	if s := b.SnapshotAt(until); s.State != breaker.Closed || s.Calls != 0 {
		t.Errorf("a stale result counts: %+v", s)
	}
}

func TestAPermitCountsOnceWhateverItsCopiesDo(t *testing.T) {
	b := newBreaker(t, breaker.Config{})
	p, err := b.AllowAt(start)
	if err != nil {
		t.Fatal(err)
	}
	q := p
	p.RecordAt(start, breaker.Ignored)
	q.RecordAt(start, breaker.Failure)
	// The next permit may be in the same memory.
	next, err := b.AllowAt(start)
	if err != nil {
		t.Fatal(err)
	}
	p.RecordAt(start, breaker.Failure)
	q.Record(breaker.Failure)
	next.RecordAt(start, breaker.Success)
	breaker.Permit{}.Record(breaker.Failure)
	breaker.Permit{}.RecordAt(start, breaker.Failure)
	if s := b.SnapshotAt(start); s.Calls != 1 || s.Failures != 0 {
		t.Errorf("%+v, want one success", s)
	}
}

func TestClockStepsOfAnHourAreHarmless(t *testing.T) {
	for _, step := range []time.Duration{-time.Hour, time.Hour} {
		t.Run(step.String(), func(t *testing.T) {
			c := breaker.Config{Probes: 1, ProbeTimeout: time.Second, Window: 10 * time.Second, MinCalls: 3}
			b, now := newBreaker(t, c), start
			call(t, b, now, breaker.Success)
			now = now.Add(step)
			call(t, b, now, breaker.Failure)
			want := 2
			if step > 0 {
				want = 1 // an hour later the first is out of the window
			}
			if s := b.SnapshotAt(now); s.Calls != want {
				t.Errorf("closed: %+v, want %d calls", s, want)
			}
			now = now.Add(11 * time.Second)
			if s := b.SnapshotAt(now); s.Calls != 0 {
				t.Errorf("the window holds on: %+v", s)
			}
			for range 3 {
				call(t, b, now, breaker.Failure)
			}
			now = now.Add(step) // open
			_, err := b.AllowAt(now)
			if ok, until := b.Ready(now); step < 0 && (ok || err == nil || until.Sub(now) > 6*time.Second) {
				t.Errorf("open: until %v from now, ready %t, %v", until.Sub(now), ok, err)
			}
			now = now.Add(6 * time.Second)
			if step < 0 {
				if _, err := b.AllowAt(now); err != nil { // a probe, which is lost
					t.Fatalf("open for ever: %v", err)
				}
			}
			if b.State() != breaker.HalfOpen {
				t.Fatal(b.State())
			}
			now = now.Add(step)
			b.Ready(now)
			now = now.Add(time.Second)
			call(t, b, now, breaker.Success)
			if b.State() != breaker.Closed {
				t.Errorf("half-open: %v", b.State())
			}
		})
	}
}

func TestATimeReadALittleEarlierCountsAsTheLater(t *testing.T) {
	b := newBreaker(t, breaker.Config{MinCalls: 3, Window: 10 * time.Second})
	call(t, b, start, breaker.Failure)
	call(t, b, start.Add(-time.Second), breaker.Failure)
	if s := b.SnapshotAt(start); s.Calls != 2 {
		t.Errorf("%+v, want both", s)
	}
	call(t, b, start.Add(-time.Millisecond), breaker.Failure)
	if _, err := b.AllowAt(start.Add(-time.Millisecond)); err == nil {
		t.Error("a time before it opened admits")
	}
}

func TestDoRecordsWhatTheErrorMeans(t *testing.T) {
	errBusy := errors.New("busy")
	cancelled := context.WithCancel
	expired := func(ctx context.Context) (context.Context, context.CancelFunc) {
		return context.WithDeadline(ctx, time.Now().Add(50*time.Millisecond))
	}
	for _, tt := range []struct {
		name            string
		ctx             func(context.Context) (context.Context, context.CancelFunc)
		err             error
		calls, failures int
	}{
		{"success", cancelled, nil, 1, 0},
		{"failure", cancelled, errors.ErrUnsupported, 1, 1},
		{"overload", cancelled, errBusy, 0, 0},
		{"the caller cancels", cancelled, context.Canceled, 0, 0},
		{"the deadline of the caller", expired, context.DeadlineExceeded, 1, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBreaker(t, breaker.Config{Classify: func(err error) breaker.Result {
					if errors.Is(err, errBusy) {
						return breaker.Ignored
					}
					return breaker.Failure
				}})
				ctx, cancel := tt.ctx(t.Context())
				defer cancel()
				err := b.Do(ctx, func(ctx context.Context) error {
					switch tt.err {
					case context.Canceled:
						cancel()
					case context.DeadlineExceeded:
						<-ctx.Done()
					}
					return tt.err
				})
				if s := b.Snapshot(); err != tt.err || s.Calls != tt.calls || s.Failures != tt.failures {
					t.Errorf("%v, %+v", err, s)
				}
			})
		})
	}
}

func TestDoSurvivesAPanicAndCallsNothingInVain(t *testing.T) {
	b := newBreaker(t, breaker.Config{MinCalls: 1})
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	never := func(context.Context) error { t.Error("called"); return nil }
	if err := b.Do(ended, never); err != context.Canceled {
		t.Errorf("with a context that has ended: %v", err)
	}
	func() {
		defer func() {
			if v := recover(); v != "ouch" {
				t.Errorf("recovered %v", v)
			}
		}()
		_ = b.Do(t.Context(), func(context.Context) error { panic("ouch") })
	}()
	var open *breaker.OpenError
	if err := b.Do(t.Context(), never); !errors.As(err, &open) || b.State() != breaker.Open {
		t.Errorf("%v, %v: a panic is no failure", err, b.State())
	}
}

func TestTripAndResetAreByHand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBreaker(t, breaker.Config{Open: time.Second})
		b.Trip()
		b.Trip()
		if s := b.Snapshot(); s.State != breaker.Open || s.Openings != 1 {
			t.Errorf("%+v after Trip", s)
		}
		if _, err := b.Allow(); err == nil {
			t.Error("tripped, and admits")
		}
		if s := b.Snapshot(); s.Refused != 1 {
			t.Errorf("%d refused", s.Refused)
		}
		b.Reset()
		p, err := b.Allow()
		if s := b.Snapshot(); err != nil || s.State != breaker.Closed || s.Openings != 0 || !s.Since.Equal(time.Now()) {
			t.Errorf("%+v, %v after Reset", s, err)
		}
		b.Reset()
		p.Record(breaker.Failure)
		if s := b.Snapshot(); s.Calls != 0 {
			t.Errorf("a Reset forgets nothing: %+v", s)
		}
	})
}
