package ops

import (
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/consumer"
)

func TestEachDurationIsInTheBucketThatBeginsBelowIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(-10, int64(10*time.Minute)).Draw(t, "d"))
		i := bucketOf(d)
		if from := bucketFloor(i); max(d, 0) < from {
			t.Fatalf("%v is in bucket %d, which begins at %v", d, i, from)
		}
		if to := bucketFloor(i + 1); i < bucketCount-1 && d >= to {
			t.Fatalf("%v is in bucket %d, which ends at %v", d, i, to)
		}
	})
	if i := bucketOf(math.MaxInt64); i != bucketCount-1 {
		t.Errorf("the longest duration is in bucket %d", i)
	}
}

func TestAQuantileIsWithinItsBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var b buckets
		d := time.Duration(rapid.Int64Range(int64(time.Millisecond), int64(time.Minute)).Draw(t, "d"))
		for range rapid.IntRange(1, 200).Draw(t, "n") {
			b.add(d)
		}
		c := b.load()
		for _, q := range []float64{0.01, 0.5, 0.99, 1} {
			if got := c.quantile(q); got < d*2/3 || got > d*3/2 {
				t.Fatalf("the quantile %v of nothing but %v is %v", q, d, got)
			}
		}
	})
	if got := new(counts).quantile(0.5); got != 0 {
		t.Errorf("the median of nothing is %v", got)
	}
}

func ran(w *waits, tenant string, wait time.Duration, n int) {
	for range n {
		w.handled(&consumer.Handled{Tenant: tenant, Downstream: "billing", Wait: wait, Took: 2 * wait})
	}
}

func TestAWaitIsForgottenAfterTheWindow(t *testing.T) {
	w := newWaits()
	ran(w, "acme", time.Second, 10)
	w.moveOn()
	ran(w, "acme", time.Millisecond, 90)
	if c, ok := w.tenant("acme"); !ok || c.total() != 100 || c.quantile(0.99) < 700*time.Millisecond {
		t.Errorf("in its window are %d waits, p99 %v", c.total(), c.quantile(0.99))
	}
	w.moveOn()
	if c, ok := w.tenant("acme"); !ok || c.total() != 90 || c.quantile(1) > 2*time.Millisecond {
		t.Errorf("a window later there are %d waits, at most %v", c.total(), c.quantile(1))
	}
	w.moveOn()
	w.moveOn()
	if c, ok := w.tenant("acme"); ok {
		t.Errorf("an idle tenant has %d waits", c.total())
	}
	if sum := w.all(); sum.total() != 100 {
		t.Errorf("the sum over all is %d, want 100: it only rises", sum.total())
	}
	if took := w.tookOf()["billing"]; took.total() < 93 || took.quantile(0.05) > 4*time.Millisecond {
		t.Errorf("billing took %v in %d runs", took.quantile(0.05), took.total())
	}
}

func TestWaitsAreReadAndCountedWhileTheWindowMovesOn(t *testing.T) {
	w := newWaits()
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := range 2000 {
				ran(w, fmt.Sprint("t", i%50), time.Millisecond, 1)
			}
		})
	}
	wg.Go(func() {
		for range 20 {
			w.moveOn()
		}
	})
	wg.Go(func() {
		for i := range 2000 {
			if c, ok := w.tenant(fmt.Sprint("t", i%50)); ok && (c.total() > 80 || c.quantile(1) > 2*time.Millisecond) {
				t.Errorf("80 waits of 1 ms are %d up to %v", c.total(), c.quantile(1))
			}
			w.all()
		}
	})
	wg.Wait()
}

func TestTenantsBeyondTheBoundCountInTheSum(t *testing.T) {
	w := newWaits()
	for i := range waitTenants + 100 {
		ran(w, fmt.Sprint("t", i), time.Millisecond, 1)
	}
	if n := w.table.Load().used.Load(); n != waitTenants {
		t.Errorf("%d tenants are measured, want %d", n, waitTenants)
	}
	if sum := w.all(); sum.total() != waitTenants+100 {
		t.Errorf("the sum is %d", sum.total())
	}
	if _, ok := w.tenant(fmt.Sprint("t", waitTenants)); ok {
		t.Error("one more than the bound is measured")
	}
	for range 3 {
		w.moveOn()
	}
	ran(w, "new", time.Millisecond, 1)
	if _, ok := w.tenant("new"); !ok {
		t.Error("a new tenant is not measured though the others are idle")
	}
}

func TestRunsThatStandForOthersAreAsManyAsThose(t *testing.T) {
	w := newWaits()
	for i := range 100_000 {
		w.handled(&consumer.Handled{Tenant: "acme", Downstream: "billing", Took: time.Duration(1+i%10) * time.Millisecond})
	}
	took := w.tookOf()["billing"]
	if n := took.total(); n < 99_990 || n > 100_010 {
		t.Errorf("100000 runs count as %d", n)
	}
	if p50 := took.quantile(0.5); p50 < 4*time.Millisecond || p50 > 7*time.Millisecond {
		t.Errorf("p50 of 1 to 10 ms is %v", p50)
	}
}

func TestTakingInARunAllocatesNothing(t *testing.T) {
	w := newWaits()
	e := consumer.Handled{Tenant: "acme", Downstream: "billing", Wait: time.Millisecond, Took: time.Millisecond}
	w.handled(&e)
	if n := testing.AllocsPerRun(1000, func() { w.handled(&e) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkHandled(b *testing.B) {
	for _, tenants := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprint(tenants, "-tenants"), func(b *testing.B) {
			w, events := newWaits(), someRuns(tenants)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				w.handled(&events[i])
				if i++; i == len(events) {
					i = 0
				}
			}
		})
		b.Run(fmt.Sprint(tenants, "-tenants-in-parallel"), func(b *testing.B) {
			w, events := newWaits(), someRuns(tenants)
			var start atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				i := int(start.Add(7919)) % len(events)
				for pb.Next() {
					w.handled(&events[i])
					if i++; i == len(events) {
						i = 0
					}
				}
			})
		})
	}
}

func BenchmarkSum(b *testing.B) {
	w := newWaits()
	for _, e := range someRuns(waitTenants) {
		w.handled(&e)
	}
	for b.Loop() {
		w.all()
	}
}

func someRuns(tenants int) []consumer.Handled {
	runs := make([]consumer.Handled, max(tenants, 1024))
	for i := range runs {
		runs[i] = consumer.Handled{
			Tenant: fmt.Sprint("tenant-", i%tenants), Downstream: "billing",
			Wait: time.Duration(i) * 100 * time.Microsecond, Took: time.Duration(i) * 10 * time.Microsecond,
		}
	}
	return runs
}
