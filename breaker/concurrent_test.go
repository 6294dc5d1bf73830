package breaker_test

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

// Buckets change and failures come in between, while many count: none is lost, none is
// counted twice.
func TestNoResultIsLostAmongMany(t *testing.T) {
	for _, c := range []breaker.Config{
		{Window: time.Hour, FailureRatio: 1, MinCalls: 100},
		{Calls: 200_000, FailureRatio: 1, MinCalls: 100},
		{Window: time.Hour, FailureRatio: 1, MinCalls: 100, SlowCall: time.Minute},
	} {
		b := newBreaker(t, c)
		var now atomic.Int64
		var group sync.WaitGroup
		const goroutines, each, nth = 8, 5000, 50
		for g := range goroutines {
			group.Go(func() {
				for i := range each {
					at := start.Add(time.Duration(now.Add(int64(100 * time.Microsecond))))
					p, err := b.AllowAt(at)
					if err != nil {
						t.Error(err)
						return
					}
					r := breaker.Success
					if i%nth == 0 {
						r = breaker.Failure
					}
					p.RecordAt(at, r)
					if g == 0 && i%100 == 0 {
						b.SnapshotAt(at)
						if err := b.Reconfigure(c); err != nil {
							t.Error(err)
						}
					}
				}
			})
		}
		group.Wait()
		at := start.Add(time.Duration(now.Load()))
		if s := b.SnapshotAt(at); s.Calls != goroutines*each || s.Failures != goroutines*each/nth {
			t.Errorf("%+v, want %d calls and %d failures", s, goroutines*each, goroutines*each/nth)
		}
	}
}

// Whatever many do at once, the changes that are told make one story.
func TestChangesAreToldInOrder(t *testing.T) {
	var told []breaker.Transition // told one at a time
	telling := new(atomic.Int32)
	var b *breaker.Breaker
	c := breaker.Config{MinCalls: 3, Calls: 10, Open: time.Nanosecond, MaxOpen: 8 * time.Nanosecond, Probes: 2}
	c.OnStateChange = func(tr breaker.Transition) {
		if telling.Add(1) != 1 {
			t.Error("two are told at once")
		}
		told = append(told, tr)
		b.Snapshot()
		if len(told)%7 == 0 {
			b.Reset() // from within
		}
		telling.Add(-1)
	}
	b = newBreaker(t, c)
	var group sync.WaitGroup
	for g := range 8 {
		group.Go(func() {
			random := rand.New(rand.NewPCG(7, uint64(g)))
			for range 3000 {
				if p, err := b.Allow(); err == nil {
					p.Record(breaker.Result(random.IntN(3)))
				}
				switch random.IntN(500) {
				case 0:
					b.Trip()
				case 1:
					b.Reset()
				}
			}
		})
	}
	group.Wait()
	b.Reset()
	state := breaker.Closed
	for i, tr := range told {
		if tr.From != state || tr.To == tr.From || tr.Why == "" || (tr.To == breaker.Open) == tr.Until.IsZero() {
			t.Fatalf("change %d is %+v, and the state before was %v", i, tr, state)
		}
		state = tr.To
	}
	if len(told) < 100 || state != breaker.Closed {
		t.Errorf("%d changes, ending %v", len(told), state)
	}
}

func TestACallbackThatPanicsSilencesNobody(t *testing.T) {
	told := 0
	b := newBreaker(t, breaker.Config{OnStateChange: func(breaker.Transition) {
		if told++; told == 1 {
			panic("ouch")
		}
	}})
	func() {
		defer func() { _ = recover() }()
		b.Trip()
	}()
	b.Reset()
	if told != 2 {
		t.Errorf("told %d times, want 2", told)
	}
}

func TestNothingIsAllocatedForACall(t *testing.T) {
	for _, w := range windows {
		b := newBreaker(t, w.c)
		for _, r := range []breaker.Result{breaker.Success, breaker.Ignored} {
			if n := testing.AllocsPerRun(1000, func() {
				if p, err := b.Allow(); err == nil {
					p.Record(r)
				}
			}); n != 0 {
				t.Errorf("%s, %v: %v allocations", w.name, r, n)
			}
		}
		b.Trip()
		if n := testing.AllocsPerRun(1000, func() { _, _ = b.Allow() }); n != 0 {
			t.Errorf("%s, refused: %v allocations", w.name, n)
		}
	}
}
