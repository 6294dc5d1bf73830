package flow

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"
)

func TestAWatermarkTurnsAboveAndBelowItsMarksAlone(t *testing.T) {
	var told []bool
	w, err := NewWatermark(WatermarkConfig{OnAbove: 24, OffBelow: 12, OnChange: func(on bool) { told = append(told, on) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		depth int
		on    bool
	}{
		{0, false}, {12, false}, {24, false}, {25, true}, {24, true}, {32, true}, {12, true},
		{11, false}, {24, false}, {13, false}, {32, true}, {0, false},
	} {
		if got := w.Update(tt.depth); got != tt.on || w.On() != tt.on {
			t.Errorf("at %d: %t, want %t", tt.depth, got, tt.on)
		}
	}
	if fmt.Sprint(told) != "[true false true false]" || w.Turns() != 4 {
		t.Errorf("told %v, %d turns", told, w.Turns())
	}
}

func TestAWatermarkDoesNotFlapBetweenItsMarks(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		above := rapid.IntRange(1, 50).Draw(t, "above")
		below := rapid.IntRange(1, above).Draw(t, "below")
		w, err := NewWatermark(WatermarkConfig{OnAbove: above, OffBelow: below})
		if err != nil {
			t.Fatal(err)
		}
		on := false
		for _, d := range rapid.SliceOf(rapid.IntRange(0, 60)).Draw(t, "depths") {
			switch got := w.Update(d); {
			case d > above && !got, d < below && got, d >= below && d <= above && got != on:
				t.Fatalf("at %d: %t after %t, marks %d and %d", d, got, on, above, below)
			default:
				on = got
			}
		}
	})
}

func TestAChangeIsToldOnceHoweverManyCauseIt(t *testing.T) {
	var told atomic.Int64
	w, err := NewWatermark(WatermarkConfig{OnAbove: 1, OffBelow: 1, OnChange: func(bool) { told.Add(1) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, depth := range []int{5, 0, 5} {
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() { w.Update(depth) })
		}
		wg.Wait()
	}
	if told.Load() != 3 || w.Turns() != 3 {
		t.Errorf("told %d times, %d turns, want 3", told.Load(), w.Turns())
	}
}

func TestWatermarkConfigSaysAllThatIsWrong(t *testing.T) {
	_, err := NewWatermark(WatermarkConfig{OnAbove: -1, OffBelow: 3})
	want := "flow: NewWatermark: WatermarkConfig.OnAbove is -1: must be from 1 to 9223372036854775806\nWatermarkConfig.OffBelow is 3: must be from 1 to 1"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
}

// Twice what the workers can do, for a minute: the depth goes from mark to mark, and both
// transitions come again and again.
func TestASheddingPoolSwingsBetweenItsMarks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p *Pool
		var on, off int
		p = newPool(t, PoolConfig{Workers: 1, Queue: 32, ShedAbove: 24, ResumeBelow: 12, OnShed: func(shedding bool) {
			depth := p.Stats().Queued // by now one job more may have come or gone
			switch {
			case shedding && depth >= 24:
				on++
			case !shedding && depth <= 12:
				off++
			default:
				t.Errorf("shedding turned %t at %d", shedding, depth)
			}
		}})
		shed := 0
		low, high := 32, 0
		for i := range 12_000 {
			switch err := p.Submit(sleeps(10 * time.Millisecond)); err {
			case ErrShed:
				shed++
			case nil:
			default:
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond)
			if i > 100 {
				depth := p.Stats().Queued
				low, high = min(low, depth), max(high, depth)
			}
		}
		if low < 10 || low > 11 || high != 25 {
			t.Errorf("the depth went from %d to %d, want 11 to 25", low, high)
		}
		closed(t, p)
		if on < 100 || off != on || shed < 5000 {
			t.Errorf("turned on %d and off %d times, %d were shed", on, off, shed)
		}
		if s := p.Stats(); s.Rejected != uint64(shed) || s.Shedding {
			t.Errorf("got %+v", s)
		}
	})
}

func TestNoSubmitterPassesTheMark(t *testing.T) {
	p := newPool(t, PoolConfig{Workers: 1, Queue: 32, ShedAbove: 8, ResumeBelow: 4})
	job, free := blocked()
	var wg sync.WaitGroup
	var accepted atomic.Int64
	for range 8 {
		wg.Go(func() {
			for range 20 {
				if p.TrySubmit(job) {
					accepted.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := accepted.Load(); n < 9 || n > 10 { // 9 wait, and one may have begun
		t.Errorf("%d were accepted, want 9 or 10", n)
	}
	if err := p.SubmitCtx(context.Background(), job); err != ErrShed {
		t.Errorf("got %v", err)
	}
	free()
	closed(t, p)
}
