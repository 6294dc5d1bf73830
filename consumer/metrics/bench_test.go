package metrics_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
)

func TestAnEventAllocatesNothing(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	run := consumer.Handled{Tenant: "acme", Downstream: "billing", Result: consumer.ResultSuccess, Took: time.Millisecond}
	settled := consumer.Settled{Tenant: "acme", Downstream: "billing", Outcome: consumer.OutcomeAck}
	if n := testing.AllocsPerRun(100, func() {
		w.events.Handled(run)
		w.events.Settled(settled)
		w.events.Shed(consumer.Shed{Tenant: "acme", Policy: consumer.OverflowDelay})
	}); n > 0 {
		t.Errorf("%v allocations for three events", n)
	}
}

func BenchmarkHandled(b *testing.B) {
	w := newWorker(b, metrics.Options{})
	runs := someRuns()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		w.events.Handled(runs[i%len(runs)])
		i++
	}
}

func BenchmarkHandledInParallel(b *testing.B) {
	w := newWorker(b, metrics.Options{})
	runs := someRuns()
	var start atomic.Int64
	b.RunParallel(func(pb *testing.PB) {
		i := int(start.Add(37))
		for pb.Next() {
			w.events.Handled(runs[i%len(runs)])
			i++
		}
	})
}

func BenchmarkSettled(b *testing.B) {
	w := newWorker(b, metrics.Options{})
	e := consumer.Settled{Tenant: "acme", Downstream: "billing", Outcome: consumer.OutcomeAck}
	b.ReportAllocs()
	for b.Loop() {
		w.events.Settled(e)
	}
}

func BenchmarkShed(b *testing.B) {
	w := newWorker(b, metrics.Options{})
	b.ReportAllocs()
	for b.Loop() {
		w.events.Shed(consumer.Shed{Tenant: "acme", Policy: consumer.OverflowDelay})
	}
}

// BenchmarkScrape is of 1000 tenants, of which 100 have a label.
func BenchmarkScrape(b *testing.B) {
	w := newWorker(b, metrics.Options{})
	w.busyState()
	for i := range 1000 {
		w.state.Tenants = append(w.state.Tenants, consumer.TenantState{Tenant: fmt.Sprint("tenant-", i), Queued: i})
	}
	for b.Loop() {
		w.families()
	}
}

func someRuns() []consumer.Handled {
	runs := make([]consumer.Handled, 1024)
	for i := range runs {
		runs[i] = consumer.Handled{
			Tenant:     fmt.Sprint("tenant-", i%100),
			Downstream: fmt.Sprint("downstream-", i%4),
			Result:     consumer.ResultSuccess,
			Wait:       time.Duration(i) * 100 * time.Microsecond,
			Took:       time.Duration(i) * 10 * time.Microsecond,
			EndToEnd:   time.Duration(i) * time.Millisecond,
		}
	}
	return runs
}
