package flow

import (
	"context"
	"slices"
	"sync"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"
)

func newLatest(t fataler, n int) *LatestN[int] {
	t.Helper()
	l, err := NewLatestN[int](n)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// Against a slice that forgets its head.
func TestLatestNHoldsTheLastInOrderAndCountsTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 6).Draw(t, "n")
		l := newLatest(t, n)
		var model []int
		var dropped uint64
		next := 0
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				full := len(model) == n
				if full {
					model = model[1:]
					dropped++
				}
				model = append(model, next)
				if l.Push(next) != full {
					t.Fatalf("Push said dropped %t", !full)
				}
				next++
			},
			"next": func(t *rapid.T) {
				v, ok := l.TryNext()
				if ok != (len(model) > 0) || ok && v != model[0] {
					t.Fatalf("took %d, %t of %v", v, ok, model)
				}
				if ok {
					model = model[1:]
				}
			},
			"": func(t *rapid.T) {
				if got := l.Snapshot(); !slices.Equal(got, model) || l.Len() != len(model) || l.Dropped() != dropped || l.Cap() != n {
					t.Fatalf("holds %v, dropped %d, want %v, %d", got, l.Dropped(), model, dropped)
				}
			},
		})
	})
}

func TestNextWaitsForAValue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLatest(t, 8)
		var mu sync.Mutex
		var got []int
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				v, err := l.Next(t.Context())
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				got = append(got, v)
				mu.Unlock()
			})
		}
		synctest.Wait()
		for i := range 4 { // several pushes, one signal
			l.Push(i)
		}
		wg.Wait()
		slices.Sort(got)
		if !slices.Equal(got, []int{0, 1, 2, 3}) {
			t.Errorf("got %v", got)
		}
		ctx, cancel := context.WithCancel(t.Context())
		wg.Go(func() {
			if _, err := l.Next(ctx); err != context.Canceled {
				t.Errorf("got %v", err)
			}
		})
		synctest.Wait()
		cancel()
		wg.Wait()
	})
}

// Two values came before anybody who waits looked again, so there is one signal for both.
func TestWhoTakesAValuePassesTheSignalOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLatest(t, 8)
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if _, err := l.Next(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		l.put(1)
		l.put(2)
		l.signal()
		wg.Wait()
	})
}

// Every value pushed is taken, held or counted as dropped, whoever races.
func TestLatestNLosesCountOfNothing(t *testing.T) {
	l := newLatest(t, 4)
	const writers, each = 4, 2000
	var wg, readers sync.WaitGroup
	ctx, cancel := context.WithCancel(t.Context())
	taken := make([]uint64, 2)
	for i := range taken {
		readers.Go(func() {
			for {
				if _, err := l.Next(ctx); err != nil {
					return
				}
				taken[i]++
			}
		})
	}
	for range writers {
		wg.Go(func() {
			for i := range each {
				l.Push(i)
			}
		})
	}
	wg.Wait()
	cancel()
	readers.Wait()
	if got := taken[0] + taken[1] + uint64(l.Len()) + l.Dropped(); got != writers*each {
		t.Errorf("%d are accounted for, want %d", got, writers*each)
	}
}

func TestLatestNSaysWhichSizesItTakes(t *testing.T) {
	for _, n := range []int{0, -1, maxLatest + 1} {
		if _, err := NewLatestN[int](n); err == nil {
			t.Errorf("%d was taken", n)
		}
	}
}
