package flow

import (
	"context"
	"errors"
	"math"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func newHedge(t fataler, c HedgeConfig) *Hedge[int] {
	t.Helper()
	h, err := NewHedge[int](c)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// takes waits for d, or for the end of ctx.
func takes(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestTheFirstSuccessOfAHedgeWins(t *testing.T) {
	const s = time.Second
	oops := errors.New("oops")
	type call struct {
		takes time.Duration
		err   error
	}
	for _, tt := range []struct {
		name    string
		calls   []call // by replica
		want    int    // the replica; -1: an error
		after   time.Duration
		started int
	}{
		{"the first is in time", []call{{s / 2, nil}, {}, {}}, 0, s / 2, 1},
		{"the first is late and the second fast", []call{{9 * s, nil}, {s / 2, nil}, {}}, 1, s * 3 / 2, 2},
		{"the first is late and still first", []call{{s * 3 / 2, nil}, {9 * s, nil}, {}}, 0, s * 3 / 2, 2},
		{"all are late", []call{{9 * s, nil}, {9 * s, nil}, {s, nil}}, 2, 3 * s, 3},
		{"the first fails", []call{{s / 2, oops}, {s / 4, nil}, {}}, 1, s * 3 / 4, 2},
		{"after a failure the delay begins again", []call{{s / 2, oops}, {9 * s, nil}, {s, nil}}, 2, s * 5 / 2, 3},
		{"a failure after the others began", []call{{s * 5 / 2, oops}, {9 * s, nil}, {4 * s, nil}}, 2, 6 * s, 3},
		{"all fail", []call{{s / 2, oops}, {s / 2, oops}, {s / 2, oops}}, -1, s * 3 / 2, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := newHedge(t, HedgeConfig{Replicas: 3, Delay: s})
				var started, running atomic.Int64
				began := time.Now()
				got, err := h.Do(t.Context(), func(ctx context.Context, replica int) (int, error) {
					started.Add(1)
					running.Add(1)
					defer running.Add(-1)
					if err := takes(ctx, tt.calls[replica].takes); err != nil {
						return 0, err
					}
					return replica, tt.calls[replica].err
				})
				if tt.want < 0 && !errors.Is(err, oops) || tt.want >= 0 && (err != nil || got != tt.want) {
					t.Errorf("got %d, %v", got, err)
				}
				if took := time.Since(began); took != tt.after || int(started.Load()) != tt.started {
					t.Errorf("took %v with %d calls, want %v with %d", took, started.Load(), tt.after, tt.started)
				}
				if running.Load() != 0 {
					t.Errorf("%d calls still run", running.Load())
				}
				wins := uint64(0)
				if tt.want > 0 {
					wins = 1
				}
				if st := h.Stats(); st.Calls != 1 || int(st.Hedges) != tt.started-1 || st.Wins != wins || st.Delay != s {
					t.Errorf("got %+v", st)
				}
			})
		})
	}
}

func TestLosersAreWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHedge(t, HedgeConfig{Delay: time.Second})
		began := time.Now()
		var cancelled time.Duration
		v, err := h.Do(t.Context(), func(ctx context.Context, replica int) (int, error) {
			if replica == 1 {
				return 7, nil
			}
			<-ctx.Done()
			cancelled = time.Since(began)
			time.Sleep(time.Minute) // slow to clean up
			return 8, nil
		})
		if v != 7 || err != nil || cancelled != time.Second || time.Since(began) != time.Minute+time.Second {
			t.Errorf("got %d, %v; cancelled after %v, returned after %v", v, err, cancelled, time.Since(began))
		}
	})
}

func TestTheContextOfDoEndsAllCalls(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHedge(t, HedgeConfig{Delay: time.Second, Replicas: 5, Burst: 100})
		ctx, cancel := context.WithTimeout(t.Context(), 2500*time.Millisecond)
		defer cancel()
		var started atomic.Int64
		f := func(ctx context.Context, _ int) (int, error) {
			started.Add(1)
			return 0, takes(ctx, time.Hour)
		}
		if _, err := h.Do(ctx, f); !errors.Is(err, context.DeadlineExceeded) || started.Load() != 3 {
			t.Errorf("got %v after %d calls", err, started.Load())
		}
		if _, err := h.Do(ctx, f); err != context.DeadlineExceeded || started.Load() != 3 {
			t.Errorf("got %v after %d calls", err, started.Load())
		}
		if _, err := h.Do(ctx, nil); err != ErrNoJob {
			t.Errorf("got %v", err)
		}
	})
}

func TestAPanicOfACallIsAFailureOfIt(t *testing.T) {
	h := newHedge(t, HedgeConfig{Replicas: 3, Delay: time.Hour})
	var pe *PanicError
	_, err := h.Do(t.Context(), func(_ context.Context, replica int) (int, error) {
		if replica == 1 {
			runtime.Goexit()
		}
		panic("ouch")
	})
	if !errors.As(err, &pe) || pe.Value != "ouch" || !errors.Is(err, errGoexit) || !strings.Contains(err.Error(), "panic: ouch") {
		t.Errorf("got %v", err)
	}
	v, err := h.Do(t.Context(), func(_ context.Context, replica int) (int, error) {
		if replica == 0 {
			panic("ouch")
		}
		return replica, nil
	})
	if v != 1 || err != nil {
		t.Errorf("got %d, %v", v, err)
	}
}

// Whatever the calls do: no more than the budget, no more than n, and nothing is left.
func TestAHedgeKeepsToItsBudgetAndItsReplicas(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := HedgeConfig{
			Replicas: rapid.IntRange(2, 4).Draw(t, "replicas"),
			Delay:    time.Microsecond,
			Budget:   rapid.Float64Range(0.01, 1).Draw(t, "budget"),
			Burst:    rapid.IntRange(1, 5).Draw(t, "burst"),
		}
		h := newHedge(t, c)
		calls := rapid.IntRange(1, 50).Draw(t, "calls")
		fails := rapid.IntRange(0, 3).Draw(t, "fails")
		var extra, running atomic.Int64
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				for range calls {
					var mine atomic.Int64
					_, _ = h.Do(context.Background(), func(ctx context.Context, replica int) (int, error) {
						running.Add(1)
						defer running.Add(-1)
						if mine.Add(1) > 1 {
							extra.Add(1)
						}
						if replica < fails {
							return 0, errors.New("oops")
						}
						runtime.Gosched()
						return replica, nil
					})
					if int(mine.Load()) > c.Replicas {
						t.Errorf("%d calls of one Do", mine.Load())
					}
				}
			})
		}
		wg.Wait()
		if most := float64(c.Burst) + float64(2*calls)*c.Budget; float64(extra.Load()) > most+1e-9 {
			t.Fatalf("%d hedges for %d calls, want %v at most", extra.Load(), 2*calls, most)
		}
		if s := h.Stats(); s.Hedges != uint64(extra.Load()) || running.Load() != 0 {
			t.Fatalf("%d hedges, %d still run: %+v", extra.Load(), running.Load(), s)
		}
	})
}

// One call of 20 takes 1 s, the others 10 ms. After the first 20, a hedge follows the
// quantile, and the tail is gone; and it stays so, though the slow calls are cut off.
func TestAHedgeLearnsItsDelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHedge(t, HedgeConfig{Quantile: 0.9})
		var slowest time.Duration
		for i := range 5000 {
			began := time.Now()
			_, err := h.Do(t.Context(), func(ctx context.Context, replica int) (int, error) {
				d := 10 * time.Millisecond
				if replica == 0 && i%20 == 7 {
					d = time.Second
				}
				return 0, takes(ctx, d)
			})
			if err != nil {
				t.Fatal(err)
			}
			if took := time.Since(began); i >= enough {
				slowest = max(slowest, took)
			}
		}
		s := h.Stats()
		if slowest > 21*time.Millisecond || s.Delay < 10*time.Millisecond || s.Delay > 10700*time.Microsecond {
			t.Errorf("the slowest took %v, delay %v", slowest, s.Delay)
		}
		if s.Hedges != 249 || s.Wins != 249 || s.Refused != 0 {
			t.Errorf("got %+v, want a hedge for each slow call but the first", s)
		}
	})
}

// First calls take from 1 ms to 1 s, all alike, and hedges 1 ms. Though the slowest tenth is
// always cut off, it stays the slowest tenth: cutting does not lower the quantile, nor
// raise it.
func TestWhatAHedgeCutsOffDoesNotMoveItsQuantile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHedge(t, HedgeConfig{Quantile: 0.9, Budget: 1})
		const calls = 20_000
		var before uint64
		for i := range calls {
			if i == calls/2 {
				before = h.Stats().Hedges
			}
			_, err := h.Do(t.Context(), func(ctx context.Context, replica int) (int, error) {
				d := time.Millisecond
				if replica == 0 {
					d *= time.Duration(1 + i*7919%1000)
				}
				return 0, takes(ctx, d)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		s := h.Stats()
		share := float64(s.Hedges-before) / (calls / 2)
		if share < 0.05 || share > 0.1 || s.Delay < 900*time.Millisecond || s.Delay > 960*time.Millisecond {
			t.Errorf("%.3f of the calls were hedged after %v, want at most 0.1 after 900ms to 960ms", share, s.Delay)
		}
	})
}

func TestTimesKnowTheirQuantiles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var h times
		var all []time.Duration
		n := rapid.IntRange(1, 900).Draw(t, "n")
		top := rapid.Int64Range(1, math.MaxInt64-1).Draw(t, "top")
		for range n {
			d := time.Duration(rapid.Int64Range(0, top).Draw(t, "d"))
			h.add(d)
			all = append(all, d)
		}
		q := rapid.Float64Range(0.5, 0.999).Draw(t, "q")
		got, ok := h.quantile(q)
		if ok != (n >= enough) {
			t.Fatalf("%d times: %t", n, ok)
		}
		if !ok {
			return
		}
		slices.Sort(all)
		want := all[int(math.Ceil(q*float64(n)))-1]
		if got < want || float64(got-want) > float64(want)/steps {
			t.Fatalf("got %d, want %d and at most 1/%d more", got, want, steps)
		}
	})
}

func TestTimesForgetWhatWasLongAgo(t *testing.T) {
	var h times
	for range generation {
		h.add(time.Hour)
	}
	for range 2 * generation {
		h.add(time.Millisecond)
	}
	if got, _ := h.quantile(0.999); got > 2*time.Millisecond {
		t.Errorf("got %v", got)
	}
}

func TestHedgeConfigSaysAllThatIsWrong(t *testing.T) {
	_, err := NewHedge[int](HedgeConfig{Replicas: 1, Delay: -1, Quantile: 1.5, Budget: -1, Burst: -1})
	want := "flow: NewHedge: HedgeConfig.Replicas is 1: must be from 2 to 64\n" +
		"HedgeConfig.Delay is -1ns: must be from 0s to 1h0m0s\n" +
		"HedgeConfig.Budget is -1: must be from 1e-06 to 64\n" +
		"HedgeConfig.Burst is -1: must be from 1 to 1000000\n" +
		"HedgeConfig.Quantile is 1.5: must be from 0.5 to 0.999"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, err := NewHedge[int](HedgeConfig{Budget: math.NaN()}); err == nil {
		t.Error("NaN was taken")
	}
}
