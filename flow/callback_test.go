package flow

import (
	"context"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// What OnShed does to a submitter or a worker must cost no job, no worker, and not the end
// of the Pool.
func TestWhateverOnShedDoesNothingIsLost(t *testing.T) {
	for _, tt := range []struct {
		name    string
		when    bool // shedding begins, by a submitter; else it ends, by a worker
		does    func()
		told    int64 // to OnPanic
		dropped uint64
	}{
		{"a submitter panics", true, func() { panic("ouch") }, 0, 0},
		{"a submitter ends its goroutine", true, runtime.Goexit, 0, 0},
		{"a worker panics", false, func() { panic("ouch") }, 1, 0},
		{"a worker ends its goroutine", false, runtime.Goexit, 0, 1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ran, told atomic.Int64
				job, free := blocked()
				p := newPool(t, PoolConfig{
					Workers: 1, Queue: 4, ShedAbove: 1, ResumeBelow: 1,
					OnShed: func(shedding bool) {
						if shedding == tt.when {
							tt.does()
						}
					},
					OnPanic: func(v any, _ []byte) {
						if v == "ouch" {
							told.Add(1)
						}
					},
				})
				submit := func() {
					go func() {
						defer func() {
							if v := recover(); v != nil && (v != "ouch" || !tt.when) {
								t.Errorf("Submit panicked with %v", v)
							}
						}()
						p.Submit(func(ctx context.Context) { job(ctx); ran.Add(1) })
					}()
					synctest.Wait()
				}
				for range 3 { // one runs, two wait: shedding begins
					submit()
				}
				if s := p.Stats(); s.Accepted != 3 || !s.Shedding {
					t.Errorf("got %+v", s)
				}
				free()
				closed(t, p)
				s := p.Stats()
				if s.Executed != uint64(ran.Load()) || s.Dropped != tt.dropped || s.Executed+s.Dropped != 3 || s.InFlight != 0 || s.Panicked != 0 {
					t.Errorf("%d ran: %+v", ran.Load(), s)
				}
				if told.Load() != tt.told {
					t.Errorf("OnPanic was told %d times, want %d", told.Load(), tt.told)
				}
			})
		})
	}
}

func TestAWorkerIsReplacedWhenOnPanicEndsItsGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(t, PoolConfig{Workers: 1, OnPanic: func(any, []byte) { runtime.Goexit() }})
		for range 3 {
			p.Submit(func(context.Context) { panic("ouch") })
		}
		p.Submit(nothing)
		closed(t, p)
		if s := p.Stats(); s.Executed != 4 || s.Panicked != 3 {
			t.Errorf("got %+v", s)
		}
	})
}

// Submitters that go on asking a Pool that is closed must not keep it from ending: only
// those count who came in before.
func TestWhoAsksAfterCloseDoesNotHoldItUp(t *testing.T) {
	sealed := 0
	g := gate{closing: make(chan struct{}), onEmpty: func() { sealed++ }}
	if !g.enter() {
		t.Fatal("it is not open")
	}
	g.close()
	if g.enter() || sealed != 0 {
		t.Errorf("open after close, or sealed with somebody inside: %d", sealed)
	}
	g.leave(&g.atOnce)
	if g.enter() || sealed != 1 {
		t.Errorf("sealed %d times, want once: the last who came before has left", sealed)
	}
	if got, want := g.submits(), (submits{atOnce: 1, accepted: 1, rejected: 2, submitted: 3}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}
