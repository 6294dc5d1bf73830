package metrics_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
)

const workerSeconds = "spillway_tenant_worker_seconds_total"

func TestTheBusiestTenantsHaveALabel(t *testing.T) {
	w := newWorker(t, metrics.Options{Tenants: 2})
	for i, tenant := range []string{"a", "b", "c", "d"} {
		w.ran(tenant, i+1)
	}
	wantTenants(t, w, map[string]float64{"c": 3, "d": 4, "_other": 3})
}

func TestAHundredTenantsHaveALabelByDefault(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	for i := range 250 {
		w.ran(fmt.Sprintf("t%03d", i), 1+i/150)
	}
	got := w.byTenant(workerSeconds)
	if len(got) != 101 || got["_other"] != 150 || got["t150"] != 2 || got["t249"] != 2 {
		t.Errorf("%d labels, _other %v, t150 %v, t249 %v; want 101, 150, 2, 2", len(got), got["_other"], got["t150"], got["t249"])
	}
}

func TestNoTenantHasALabelWhenThatIsAsked(t *testing.T) {
	w := newWorker(t, metrics.Options{Tenants: -1})
	w.ran("a", 3)
	w.state.Tenants = []consumer.TenantState{{Tenant: "a", Queued: 2}}
	wantTenants(t, w, map[string]float64{"_other": 3})
	w.want(map[string]float64{`spillway_queue_depth{tenant="_other"}`: 2})
}

func TestATenantThatOnlyWaitsHasALabelToo(t *testing.T) {
	w := newWorker(t, metrics.Options{Tenants: 1})
	w.ran("quick", 5)
	w.state.Tenants = []consumer.TenantState{{Tenant: "quick"}, {Tenant: "stuck", Queued: 256, Bytes: 1000}}
	w.want(map[string]float64{
		`spillway_queue_depth{tenant="stuck"}`:  256,
		`spillway_queue_bytes{tenant="stuck"}`:  1000,
		`spillway_queue_depth{tenant="_other"}`: 0,
	})
	w.ran("stuck", 1)
	wantTenants(t, w, map[string]float64{"stuck": 1, "_other": 5})
}

func TestALabelIsKeptFromBusierTenantsUntilAnHourOfIdleness(t *testing.T) {
	w := newWorker(t, metrics.Options{Tenants: 1})
	w.ran("first", 1)
	w.families()
	w.pass(59 * time.Minute)
	w.ran("busier", 10)
	wantTenants(t, w, map[string]float64{"first": 1, "_other": 10})
	w.pass(time.Minute)
	w.ran("busier", 10)
	wantTenants(t, w, map[string]float64{"busier": 10, "_other": 10})
}

func TestATenantThatWaitsOrRunsIsNotIdle(t *testing.T) {
	for _, state := range []consumer.TenantState{{Tenant: "slow", Queued: 1}, {Tenant: "slow", InFlight: 1}} {
		w := newWorker(t, metrics.Options{Tenants: 1})
		w.state.Tenants = []consumer.TenantState{state}
		for range 5 {
			w.families()
			w.pass(time.Hour)
			w.ran("other", 1)
		}
		if _, kept := w.byTenant(workerSeconds)["slow"]; !kept {
			t.Errorf("the label of %+v was taken away", state)
		}
	}
}

func TestATenantThatWasForgottenByTheConsumerKeepsItsLabelWithNothingQueued(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	w.busyState()
	w.families()
	w.state.Tenants = nil
	w.want(map[string]float64{`spillway_queue_depth{tenant="acme"}`: 0, `spillway_queue_bytes{tenant="acme"}`: 0})
}

func TestATenantCalledOtherIsToldApart(t *testing.T) {
	w := newWorker(t, metrics.Options{Tenants: 3})
	w.ran("_other", 4)
	w.ran("__other", 3)
	w.ran("other", 2)
	w.ran("quiet", 1)
	wantTenants(t, w, map[string]float64{"__other": 4, "___other": 3, "other": 2, "_other": 1})
}

func TestNamesThatCannotBeLabelsAreCountedWithTheOthers(t *testing.T) {
	w := newWorker(t, metrics.Options{})
	for _, tenant := range []string{"", "\xff", strings.Repeat("x", 257)} {
		w.ran(tenant, 1)
		w.state.Tenants = append(w.state.Tenants, consumer.TenantState{Tenant: tenant, Queued: 1})
	}
	wantTenants(t, w, map[string]float64{"_other": 3})
	w.want(map[string]float64{`spillway_queue_depth{tenant="_other"}`: 3})
}

func TestManyNamesInOneScrapeAreAllCounted(t *testing.T) {
	w := newWorker(t, metrics.Options{Tenants: 1})
	w.state.Tenants = []consumer.TenantState{{Tenant: "waiting", Queued: 1 << 20}}
	w.families()
	for i := range 5000 { // more than are told apart
		w.ran(fmt.Sprint("hostile-", i), 1)
	}
	w.ran("waiting", 1) // has its label, and is not lost among them
	wantTenants(t, w, map[string]float64{"waiting": 1, "_other": 5000})
}

func TestShedMessagesAreCountedByTenantAndPolicy(t *testing.T) {
	w := newWorker(t, metrics.Options{Tenants: 1})
	w.events.Shed(consumer.Shed{Tenant: "acme", Policy: consumer.OverflowDelay})
	w.events.Shed(consumer.Shed{Tenant: "acme", Policy: consumer.OverflowDelay})
	w.events.Shed(consumer.Shed{Tenant: "quiet", Policy: consumer.OverflowHold})
	w.want(map[string]float64{
		`spillway_messages_shed_total{tenant="acme",policy="delay"}`:  2,
		`spillway_messages_shed_total{tenant="_other",policy="hold"}`: 1,
	})
	w.wantNo(`spillway_messages_shed_total{tenant="acme",policy="hold"}`)
}

// Whatever happens: no more labels than allowed, no counter that falls while its
// series is shown, and nothing counted twice or not at all.
func TestCountersOfTenantsAreExact(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		w := newWorker(t, metrics.Options{Tenants: 3})
		before, ended, total := map[string]float64{}, 0.0, 0.0
		for range rapid.IntRange(1, 30).Draw(r, "scrapes") {
			for _, tenant := range rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "_other"}), 0, 8).Draw(r, "runs") {
				w.ran(tenant, 1)
				total++
			}
			w.pass(time.Duration(rapid.IntRange(0, 40).Draw(r, "minutes")) * time.Minute)
			now := w.byTenant(workerSeconds)
			for label, v := range before {
				if now, shown := now[label]; !shown {
					ended += v
				} else if now < v {
					r.Fatalf("%s fell from %v to %v", label, v, now)
				}
			}
			if got := sum(now) + ended; len(now) > 4 || got != total {
				r.Fatalf("labels %v and %v of those that ended, want at most 3 and the sum %v", now, ended, total)
			}
			before = now
		}
	})
}

func TestEventsDuringScrapesAreCountedOnce(t *testing.T) {
	const goroutines, runs, tenants = 4, 5000, 40
	w := newWorker(t, metrics.Options{Tenants: 2})
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for i := range runs {
				w.ran(fmt.Sprint("t", i%tenants), 1)
				w.events.Settled(consumer.Settled{Downstream: fmt.Sprint("d", i%3), Outcome: consumer.OutcomeAck})
			}
		})
	}
	done := make(chan struct{})
	go func() { defer close(done); wg.Wait() }()
	other := 0.0
	for scraping := true; scraping; {
		select {
		case <-done:
			scraping = false
		default:
		}
		now := w.byTenant(workerSeconds)
		if now["_other"] < other {
			t.Fatalf("_other fell from %v to %v", other, now["_other"])
		}
		other = now["_other"]
	}
	if got := sum(w.byTenant(workerSeconds)); got != goroutines*runs {
		t.Errorf("counted %v runs, want %d", got, goroutines*runs)
	}
	settled := 0.0
	for _, m := range w.series("spillway_messages_settled_total") {
		settled += number(m)
	}
	if settled != goroutines*runs {
		t.Errorf("counted %v settlements, want %d", settled, goroutines*runs)
	}
}

func wantTenants(t *testing.T, w *worker, want map[string]float64) {
	t.Helper()
	if got := w.byTenant(workerSeconds); !maps.Equal(got, want) {
		t.Errorf("worker seconds by tenant: %v, want %v", got, want)
	}
}

func sum(values map[string]float64) (s float64) {
	for _, k := range slices.Sorted(maps.Keys(values)) {
		s += values[k]
	}
	return s
}
