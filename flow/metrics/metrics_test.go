package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/spillwaymq/spillway/flow"
	"github.com/spillwaymq/spillway/flow/metrics"
)

var (
	_ metrics.PoolSource      = (*flow.Pool)(nil)
	_ metrics.BulkheadSource  = (*flow.Bulkhead)(nil)
	_ metrics.AdmissionSource = (*flow.Admission)(nil)
)

func collector(t *testing.T) func(*metrics.Collector, error) *metrics.Collector {
	return func(c *metrics.Collector, err error) *metrics.Collector {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if problems, err := testutil.CollectAndLint(c); err != nil || len(problems) > 0 {
			t.Errorf("%v, %v", problems, err)
		}
		return c
	}
}

// A pool with a job that runs, one that waits, and one that was refused, given up and
// dropped each.
func TestAPoolIsShown(t *testing.T) {
	p, err := flow.NewPool(flow.PoolConfig{Workers: 1, Queue: 2})
	if err != nil {
		t.Fatal(err)
	}
	c := collector(t)(metrics.Pool("resize", p))
	busy, free := make(chan struct{}), make(chan struct{})
	p.Submit(func(context.Context) { close(busy); <-free; panic("ouch") })
	<-busy
	nothing := func(context.Context) {}
	p.Submit(nothing)
	p.TrySubmit(nothing)
	p.TrySubmit(nothing) // full
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	p.SubmitCtx(ended, nothing)
	const head = `
# HELP pool_submitted_total Jobs submitted, by what became of it.
# TYPE pool_submitted_total counter
`
	want := head + `
pool_submitted_total{name="resize",result="accepted"} 3
pool_submitted_total{name="resize",result="dropped"} 1
pool_submitted_total{name="resize",result="rejected"} 1
# HELP pool_queue_depth Jobs that wait for a worker.
# TYPE pool_queue_depth gauge
pool_queue_depth{name="resize"} 2
# HELP pool_queue_capacity Jobs that may wait for a worker.
# TYPE pool_queue_capacity gauge
pool_queue_capacity{name="resize"} 2
# HELP pool_in_flight Jobs running.
# TYPE pool_in_flight gauge
pool_in_flight{name="resize"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want),
		"pool_submitted_total", "pool_queue_depth", "pool_queue_capacity", "pool_in_flight"); err != nil {
		t.Error(err)
	}
	if err := p.Close(ended); err == nil { // gives up: two are dropped
		t.Error("Close was in time")
	}
	close(free)
	p.Close(t.Context())
	want = head + `
pool_submitted_total{name="resize",result="accepted"} 3
pool_submitted_total{name="resize",result="dropped"} 3
pool_submitted_total{name="resize",result="rejected"} 1
# HELP pool_panics_total Jobs that panicked.
# TYPE pool_panics_total counter
pool_panics_total{name="resize"} 1
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "pool_submitted_total", "pool_panics_total"); err != nil {
		t.Error(err)
	}
}

type fixedPool flow.PoolStats

func (f fixedPool) Stats() flow.PoolStats { return flow.PoolStats(f) }

func TestTheWaitOfSubmittersIsAHistogram(t *testing.T) {
	c := collector(t)(metrics.Pool("p", fixedPool{Wait: flow.Histogram{
		Bounds: []time.Duration{time.Millisecond, time.Second},
		Counts: []uint64{5, 3, 1},
		Sum:    4500 * time.Millisecond,
	}}))
	want := `
# HELP pool_submit_wait_seconds Time that submitters waited for room.
# TYPE pool_submit_wait_seconds histogram
pool_submit_wait_seconds_bucket{name="p",le="0.001"} 5
pool_submit_wait_seconds_bucket{name="p",le="1"} 8
pool_submit_wait_seconds_bucket{name="p",le="+Inf"} 9
pool_submit_wait_seconds_sum{name="p"} 4.5
pool_submit_wait_seconds_count{name="p"} 9
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want), "pool_submit_wait_seconds"); err != nil {
		t.Error(err)
	}
}

func TestABulkheadIsShownByClass(t *testing.T) {
	b, err := flow.NewBulkhead(flow.BulkheadConfig{Classes: map[string]int{"critical": 16, "batch": 1, "not \xff UTF-8": 1}})
	if err != nil {
		t.Fatal(err)
	}
	c := collector(t)(metrics.Bulkhead("db", b))
	free := make(chan struct{})
	for range 3 {
		b.TrySubmit("batch", func(context.Context) { <-free })
	}
	want := `
# HELP bulkhead_submitted_total Jobs submitted, by what became of it.
# TYPE bulkhead_submitted_total counter
bulkhead_submitted_total{class="batch",name="db",result="accepted"} 1
bulkhead_submitted_total{class="batch",name="db",result="dropped"} 0
bulkhead_submitted_total{class="batch",name="db",result="rejected"} 2
bulkhead_submitted_total{class="critical",name="db",result="accepted"} 0
bulkhead_submitted_total{class="critical",name="db",result="dropped"} 0
bulkhead_submitted_total{class="critical",name="db",result="rejected"} 0
# HELP bulkhead_in_flight Jobs running.
# TYPE bulkhead_in_flight gauge
bulkhead_in_flight{class="batch",name="db"} 1
bulkhead_in_flight{class="critical",name="db"} 0
# HELP bulkhead_limit Jobs that may run at once.
# TYPE bulkhead_limit gauge
bulkhead_limit{class="batch",name="db"} 1
bulkhead_limit{class="critical",name="db"} 16
`
	if err := testutil.CollectAndCompare(c, strings.NewReader(want),
		"bulkhead_submitted_total", "bulkhead_in_flight", "bulkhead_limit"); err != nil {
		t.Error(err)
	}
	close(free)
	b.Close(t.Context())
}

func TestAnAdmissionIsShown(t *testing.T) {
	a, err := flow.NewAdmission(flow.AdmissionConfig{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	c := collector(t)(metrics.Admission("api", a))
	want := func(inflight int) string {
		return fmt.Sprintf(`
# HELP rejected_total Requests refused because the limit was reached.
# TYPE rejected_total counter
rejected_total{name="api"} 1
# HELP admitted_total Requests handled, those of exempt paths apart.
# TYPE admitted_total counter
admitted_total{name="api"} 1
# HELP inflight Requests being handled, those of exempt paths apart.
# TYPE inflight gauge
inflight{name="api"} %d
`, inflight)
	}
	var h http.Handler
	h = a.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(httptest.NewRecorder(), r) // a second one, while the first runs
		if err := testutil.CollectAndCompare(c, strings.NewReader(want(1))); err != nil {
			t.Error(err)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	if err := testutil.CollectAndCompare(c, strings.NewReader(want(0))); err != nil {
		t.Error(err)
	}
}

func TestSeveralOfAKindAreRegisteredTogether(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	for _, name := range []string{"one", "two"} {
		if err := reg.Register(collector(t)(metrics.Pool(name, fixedPool{}))); err != nil {
			t.Error(err)
		}
	}
	if err := reg.Register(collector(t)(metrics.Pool("one", fixedPool{}))); err == nil {
		t.Error("two of one name were registered")
	}
	if n, err := testutil.GatherAndCount(reg, "pool_workers"); n != 2 || err != nil {
		t.Errorf("gathered %d of pool_workers, %v", n, err)
	}
}

func TestACollectorNeedsANameAndASource(t *testing.T) {
	for _, name := range []string{"", "\xff"} {
		if _, err := metrics.Pool(name, fixedPool{}); err == nil {
			t.Errorf("the name %q was taken", name)
		}
	}
	if _, err := metrics.Pool("p", nil); err == nil {
		t.Error("a pool that is nil was taken")
	}
	if _, err := metrics.Bulkhead("b", nil); err == nil {
		t.Error("a bulkhead that is nil was taken")
	}
	if _, err := metrics.Admission("a", nil); err == nil {
		t.Error("an admission that is nil was taken")
	}
}
