package flow

import (
	"context"
	"errors"
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

var threeClasses = map[string]int{"critical": 16, "normal": 8, "batch": 2}

func newBulkhead(t fataler, c BulkheadConfig) *Bulkhead {
	t.Helper()
	b, err := NewBulkhead(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func statsOf(b *Bulkhead, class string) ClassStats {
	for name, s := range b.Stats() {
		if name == class {
			return s
		}
	}
	return ClassStats{}
}

func TestAFullClassDelaysNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, BulkheadConfig{Classes: threeClasses})
		job, free := blocked()
		var flood sync.WaitGroup
		for range 50 {
			flood.Go(func() { b.Submit("batch", job) })
		}
		synctest.Wait()
		if s := statsOf(b, "batch"); s.InFlight != 2 || s.Waiting != 48 {
			t.Errorf("got %+v", s)
		}
		for _, class := range []string{"critical", "normal"} {
			began := time.Now()
			for range 100 {
				ran := make(chan struct{})
				if err := b.Submit(class, func(context.Context) { close(ran) }); err != nil {
					t.Fatal(err)
				}
				<-ran
			}
			if got := time.Since(began); got != 0 {
				t.Errorf("%s was delayed by %v", class, got)
			}
			if s := statsOf(b, class); s.Wait.Sum != 0 {
				t.Errorf("%s waited: %+v", class, s)
			}
		}
		free()
		flood.Wait()
		closed(t, b)
	})
}

func TestAClassTakesExactlyItsLimit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, BulkheadConfig{Classes: threeClasses})
		job, free := blocked()
		for class, limit := range threeClasses {
			for range limit {
				if !b.TrySubmit(class, job) {
					t.Errorf("%s: refused below its limit", class)
				}
			}
			if b.TrySubmit(class, job) {
				t.Errorf("%s: accepted above its limit", class)
			}
			ran, err := b.TryDo(t.Context(), class, func(context.Context) error { return nil })
			if ran || err != nil {
				t.Errorf("%s: TryDo ran: %t, %v", class, ran, err)
			}
			if s := statsOf(b, class); s.InFlight != limit || s.Rejected != 2 || s.Limit != limit {
				t.Errorf("%s: %+v", class, s)
			}
		}
		free()
		closed(t, b)
	})
}

func TestSubmitCtxOfAFullClassWaitsAsLongAsItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, BulkheadConfig{Classes: map[string]int{"one": 1}})
		b.Submit("one", sleeps(2*time.Second))
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if err := b.SubmitCtx(ctx, "one", nothing); err != context.DeadlineExceeded || time.Since(began) != time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		if err := b.SubmitCtx(ctx, "one", nothing); err != context.DeadlineExceeded {
			t.Errorf("got %v", err)
		}
		if err := b.Submit("one", nothing); err != nil || time.Since(began) != 2*time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
		closed(t, b)
		s := statsOf(b, "one")
		if s.Cancelled != 2 || s.Executed != 2 || s.Wait.Sum != 2*time.Second {
			t.Errorf("got %+v", s)
		}
	})
}

func TestDoReturnsWhatItsFunctionDoes(t *testing.T) {
	b := newBulkhead(t, BulkheadConfig{Classes: map[string]int{"one": 1}})
	type key struct{}
	ctx, oops := context.WithValue(t.Context(), key{}, 7), errors.New("oops")
	err := b.Do(ctx, "one", func(ctx context.Context) error {
		if ctx.Value(key{}) != 7 {
			t.Error("another context")
		}
		if ran, _ := b.TryDo(ctx, "one", func(context.Context) error { return nil }); ran {
			t.Error("two ran at once")
		}
		return oops
	})
	if err != oops {
		t.Errorf("got %v", err)
	}
	func() {
		defer func() {
			if v := recover(); v != "ouch" {
				t.Errorf("recovered %v", v)
			}
		}()
		b.Do(ctx, "one", func(context.Context) error { panic("ouch") })
	}()
	if ran, err := b.TryDo(ctx, "one", func(context.Context) error { return oops }); !ran || err != oops {
		t.Errorf("got %t, %v: the place was not given back", ran, err)
	}
	closed(t, b)
	if err := b.Do(ctx, "one", func(context.Context) error { return nil }); err != ErrClosed {
		t.Errorf("got %v", err)
	}
	if s := statsOf(b, "one"); s.Panicked != 1 || s.Executed != 3 {
		t.Errorf("got %+v", s)
	}
}

func TestAnUnknownClassIsNamed(t *testing.T) {
	b := newBulkhead(t, BulkheadConfig{Classes: threeClasses})
	err := b.Submit("critcal", nothing)
	if !errors.Is(err, ErrNoClass) || !strings.Contains(err.Error(), `"critcal", there are ["batch" "critical" "normal"]`) {
		t.Errorf("got %v", err)
	}
	if b.TrySubmit("critcal", nothing) {
		t.Error("accepted")
	}
	if err := b.Submit("critical", nil); err != ErrNoJob {
		t.Errorf("got %v", err)
	}
	if err := b.Do(t.Context(), "critical", nil); err != ErrNoJob {
		t.Errorf("got %v", err)
	}
	closed(t, b)
}

func TestAPanicGivesItsPlaceBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told atomic.Int64
		b := newBulkhead(t, BulkheadConfig{Classes: map[string]int{"one": 1}, OnPanic: func(class string, v any, stack []byte) {
			told.Add(1)
			if class != "one" || v != "ouch" || len(stack) == 0 {
				t.Errorf("got %s, %v, %s", class, v, stack)
			}
		}})
		for range 3 {
			b.Submit("one", func(context.Context) { panic("ouch") })
			b.Submit("one", func(context.Context) { runtime.Goexit() })
		}
		closed(t, b)
		if s := statsOf(b, "one"); s.Panicked != 6 || s.Executed != 6 || s.InFlight != 0 || told.Load() != 3 {
			t.Errorf("got %+v, told %d", s, told.Load())
		}
	})
}

func TestCloseOfABulkheadWaitsOrGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBulkhead(t, BulkheadConfig{Classes: map[string]int{"one": 1, "two": 2}})
		began := time.Now()
		b.Submit("one", func(ctx context.Context) {
			<-ctx.Done()
			time.Sleep(time.Second)
		})
		b.Submit("two", nothing)
		var wg sync.WaitGroup
		wg.Go(func() {
			if err := b.Submit("one", nothing); err != ErrClosed {
				t.Errorf("Submit is %v", err)
			}
		})
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := b.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 jobs running") {
			t.Errorf("Close is %v", err)
		}
		wg.Wait()
		closed(t, b)
		if got := time.Since(began); got != 2*time.Second {
			t.Errorf("took %v, want 2s", got)
		}
		if b.TrySubmit("two", nothing) {
			t.Error("accepted after Close")
		}
	})
}

func TestBulkheadConfigSaysAllThatIsWrong(t *testing.T) {
	_, err := NewBulkhead(BulkheadConfig{Classes: map[string]int{"b": -1, "a": 0, "c": 1}})
	want := "flow: NewBulkhead: BulkheadConfig.Classes[\"a\"] is 0: must be from 1 to 1048576\nBulkheadConfig.Classes[\"b\"] is -1: must be from 1 to 1048576"
	if err == nil || err.Error() != want {
		t.Errorf("got %v", err)
	}
	if _, err := NewBulkhead(BulkheadConfig{}); err == nil || !strings.Contains(err.Error(), "0 classes") {
		t.Errorf("got %v", err)
	}
}

func TestEverySubmitToABulkheadEndsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := map[string]int{"a": rapid.IntRange(1, 3).Draw(t, "a"), "b": rapid.IntRange(1, 3).Draw(t, "b")}
		closeAfter := int64(rapid.IntRange(1, 400).Draw(t, "closeAfter"))
		b := newBulkhead(t, BulkheadConfig{Classes: limits})
		var ran, said, asked atomic.Int64
		running := map[string]*atomic.Int64{"a": new(atomic.Int64), "b": new(atomic.Int64)}
		var over atomic.Bool
		ctx, cancel := context.WithCancel(context.Background())
		var wg sync.WaitGroup
		for i := range 6 {
			class := []string{"a", "b"}[i%2]
			work := func() {
				if n := running[class].Add(1); int(n) > limits[class] {
					over.Store(true)
				}
				runtime.Gosched()
				ran.Add(1)
				running[class].Add(-1)
			}
			job := func(context.Context) { work() }
			wg.Go(func() {
				for range 100 {
					if asked.Add(1) == closeAfter {
						cancel()
						b.Close(context.Background())
					}
					ok := false
					switch i % 3 {
					case 0:
						ok = b.SubmitCtx(ctx, class, job) == nil
					case 1:
						ok = b.TrySubmit(class, job)
					case 2:
						ok = b.Do(context.Background(), class, func(context.Context) error { work(); return nil }) == nil
					}
					if ok {
						said.Add(1)
					}
				}
			})
		}
		wg.Wait()
		cancel()
		if err := b.Close(context.Background()); err != nil {
			t.Fatal(err)
		}
		var sum ClassStats
		for _, s := range b.Stats() {
			sum.Submitted += s.Submitted
			sum.Accepted += s.Accepted
			sum.Rejected += s.Rejected
			sum.Cancelled += s.Cancelled
			sum.Executed += s.Executed
		}
		if over.Load() || sum.Submitted != 600 || sum.Accepted != uint64(said.Load()) || sum.Executed != uint64(ran.Load()) ||
			sum.Executed != sum.Accepted || sum.Submitted != sum.Accepted+sum.Rejected+sum.Cancelled {
			t.Fatalf("above a limit: %t, accepted %d, ran %d: %+v", over.Load(), said.Load(), ran.Load(), sum)
		}
	})
}

func TestStatsOfABulkheadComeInOrder(t *testing.T) {
	b := newBulkhead(t, BulkheadConfig{Classes: threeClasses})
	var names []string
	for name := range b.Stats() {
		names = append(names, name)
		if len(names) == 2 {
			break
		}
	}
	if !slices.Equal(names, []string{"batch", "critical"}) {
		t.Errorf("got %v", names)
	}
	closed(t, b)
}
