package redisbucket_test

import (
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

// A record is when tokens were admitted by a fleet.
type record struct {
	mu      sync.Mutex
	at      []time.Duration
	longest time.Duration // that an answer took
	begun   time.Time
}

func (r *record) add(t *testing.T, begun time.Time, ok bool, err error, may error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil && !errors.Is(err, may) {
		t.Error(err)
	}
	r.longest = max(r.longest, time.Since(begun))
	if ok {
		r.at = append(r.at, time.Since(r.begun))
	}
}

// excess returns by how much the busiest window went beyond rate·T, whichever that is.
func (r *record) excess(rate float64) float64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	slices.Sort(r.at)
	worst, least := 0.0, math.Inf(1)
	for i, at := range r.at {
		x := float64(i) - rate*at.Seconds()
		least = min(least, x)
		worst = max(worst, x-least+1)
	}
	return worst
}

func (r *record) between(from, to time.Duration) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, at := range r.at {
		if at >= from && at < to {
			n++
		}
	}
	return n
}

// drive asks all limiters for one key, every period, until ctx ends.
func drive(ctx context.Context, t *testing.T, fleet []*redisbucket.Limiter, period time.Duration, may error) (*record, *sync.WaitGroup) {
	r, wg := &record{begun: time.Now()}, &sync.WaitGroup{}
	for _, l := range fleet {
		for range 2 {
			wg.Go(func() {
				for ctx.Err() == nil {
					begun := time.Now()
					ok, err := l.Allow(context.Background(), "hot")
					r.add(t, begun, ok, err, may)
					time.Sleep(period)
				}
			})
		}
	}
	return r, wg
}

// In every window there is, not only in all of the time.
func TestNoWindowHasMoreThanTheBound(t *testing.T) {
	for _, tt := range []struct {
		name  string
		rate  float64
		burst int
		delay time.Duration
	}{
		{"hot", 5_000, 500, time.Millisecond},
		{"slow Redis", 1_000, 100, 30 * time.Millisecond},
		{"burst of one", 1_000, 1, time.Millisecond},
		{"low rate", 3, 2, time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const lease, lasts = 200 * time.Millisecond, 20 * time.Second
				f := newFake()
				f.delay = tt.delay
				fleet, done := f.limiters(t, 8, redisbucket.Config{Rate: perSecond(tt.rate, tt.burst), Lease: lease})
				defer done()
				for _, l := range fleet { // the first connection takes several round trips
					if _, err := l.Allow(t.Context(), "other"); err != nil {
						t.Error(err)
					}
				}
				time.Sleep(5 * time.Second)
				ctx, cancel := context.WithTimeout(t.Context(), lasts)
				defer cancel()
				r, wg := drive(ctx, t, fleet, time.Millisecond, nil)
				wg.Wait()
				bound := float64(tt.burst) + tt.rate*lease.Seconds()
				excess, got := r.excess(tt.rate), float64(len(r.at))
				var trips float64
				f.change(func() { trips = float64(f.trips) })
				t.Logf("admitted %.0f, %.4f of the rate beside the burst; the busiest window %.1f beyond the rate, bound %.1f; %.4f round trips a token",
					got, (got-float64(tt.burst))/(tt.rate*lasts.Seconds()), excess, bound, trips/got)
				if excess > bound {
					t.Errorf("a window admitted %.1f more than the rate, bound %.1f", excess, bound)
				}
				if least := 0.98 * tt.rate * lasts.Seconds(); got < math.Floor(least) {
					t.Errorf("admitted %.0f, less than %.0f", got, least)
				}
				if r.longest > 50*time.Millisecond {
					t.Errorf("an answer took %v, longer than the timeout", r.longest)
				}
			})
		})
	}
}

var fakeOutages = []struct {
	name      string
	lose, end func(f *fake)
}{
	{"stopped and started again", (*fake).stop, (*fake).start},
	{"stalled", (*fake).stall, (*fake).resume},
	{
		"slow",
		func(f *fake) { f.change(func() { f.delay = 200 * time.Millisecond }) },
		func(f *fake) { f.change(func() { f.delay = time.Millisecond }) },
	},
	{"forgets all", func(*fake) {}, func(f *fake) { f.change(func() { f.model = newModel() }) }},
	{"its clock steps forward", func(*fake) {}, func(f *fake) { f.change(func() { f.skew = time.Hour }) }},
	{"its clock steps back", func(*fake) {}, func(f *fake) { f.change(func() { f.skew = -time.Hour }) }},
}

func TestThroughOutagesTheRateHolds(t *testing.T) {
	const (
		rate, burst   = 1_000, 1_000 // a second one would be seen
		lease         = 200 * time.Millisecond
		lost, found   = 4 * time.Second, 9 * time.Second
		lasts, settle = 15 * time.Second, 3 * time.Second // of the return
	)
	for _, mode := range []redisbucket.OnError{redisbucket.Local, redisbucket.Open, redisbucket.Closed} {
		for _, o := range fakeOutages {
			t.Run(string(mode)+" "+o.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					f := newFake()
					f.delay = time.Millisecond
					fleet, done := f.limiters(t, 4, redisbucket.Config{Rate: perSecond(rate, burst), Lease: lease, OnError: mode})
					defer done()
					ctx, cancel := context.WithTimeout(t.Context(), lasts)
					defer cancel()
					r, wg := drive(ctx, t, fleet, time.Millisecond, redisbucket.ErrUnavailable)
					time.Sleep(lost)
					o.lose(f)
					time.Sleep(found - lost)
					o.end(f)
					wg.Wait()
					before := r.between(lost-time.Second, lost)
					during := r.between(lost+time.Second, found)
					after := r.between(found+settle, lasts)
					excess := r.excess(rate)
					t.Logf("of the rate: before %.3f, without Redis %.3f, after %.3f, in all %.3f; the busiest window %.0f beyond it",
						float64(before)/rate, float64(during)/(rate*(found-lost-time.Second).Seconds()),
						float64(after)/(rate*(lasts-found-settle).Seconds()), float64(len(r.at))/(rate*lasts.Seconds()), excess)
					if r.longest > 50*time.Millisecond {
						t.Errorf("an answer took %v, longer than the timeout", r.longest)
					}
					for _, l := range fleet {
						if l.Degraded() {
							t.Error("a limiter is degraded at the end")
						}
					}
					if math.Abs(float64(after)/(rate*(lasts-found-settle).Seconds())-1) > 0.05 {
						t.Errorf("admitted %d after the return", after)
					}
					real := o.name == "stalled" || o.name == "slow" || o.name == "stopped and started again"
					switch {
					case real && mode == redisbucket.Open:
						if asked := 8 * int((found - lost - time.Second).Milliseconds()); during < asked*95/100 {
							t.Errorf("admitted %d of %d without Redis", during, asked)
						}
					case real && mode == redisbucket.Closed:
						if during > 0 {
							t.Errorf("admitted %d without Redis", during)
						}
						fallthrough
					case !real:
						if bound := burst + rate*lease.Seconds(); excess > bound {
							t.Errorf("a window admitted %.0f beyond the rate, bound %.0f", excess, bound)
						}
					default:
						// Those that are back first have all of the rate beside the shares of the others.
						const apart = 500 * time.Millisecond
						if bound := burst + rate*(lease+apart).Seconds(); excess > bound {
							t.Errorf("a window admitted %.0f beyond the rate, bound %.0f", excess, bound)
						}
						if during < 95*rate*int((found-lost-time.Second)/time.Second)/100 {
							t.Errorf("admitted %d without Redis", during)
						}
					}
				})
			})
		}
	}
}
