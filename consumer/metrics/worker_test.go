package metrics_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
)

// worker is a consumer whose state and events a test makes up.
type worker struct {
	tb        testing.TB
	state     consumer.Snapshot
	refuse    error
	events    consumer.Observer
	collector *metrics.Collector
	registry  *prometheus.Registry
}

func (w *worker) Snapshot() consumer.Snapshot { return w.state }

func (w *worker) Observe(o consumer.Observer) error {
	w.events = o
	return w.refuse
}

// newWorker returns a worker with a collector over it.
func newWorker(tb testing.TB, opts metrics.Options) *worker {
	tb.Helper()
	w := &worker{tb: tb, registry: prometheus.NewRegistry()}
	w.state = consumer.Snapshot{Stream: "JOBS", Durable: "worker", At: time.Unix(1_000_000, 0)}
	opts.Version = "v1.2.3"
	m, err := metrics.New(w, opts)
	if err != nil {
		tb.Fatal(err)
	}
	w.collector = m
	if err := w.registry.Register(m); err != nil {
		tb.Fatal(err)
	}
	return w
}

// busyState fills in a state with something of everything.
func (w *worker) busyState() {
	w.state.Workers, w.state.InFlight, w.state.Stuck = 64, 7, 2
	w.state.Backlog, w.state.OldestAge = 1000, 90*time.Second
	w.state.LeasesExtended, w.state.LeasesLost = 11, 3
	w.state.Lanes = []consumer.LaneState{
		{Lane: consumer.LaneMain, Pulled: 500, Redelivered: 8, Pending: 900, AckPending: 100, Credit: 40, Batch: 20, Paused: "hold"},
		{Lane: consumer.LaneRetry, Pulled: 50, Redelivered: 1},
	}
	w.state.Downstreams = []consumer.DownstreamState{{
		Downstream: "billing", Overloads: 6,
		RateShared: true,
		Limit:      &consumer.LimitState{Limit: 12}, Breaker: &consumer.BreakerStatus{State: consumer.BreakerClosed},
	}}
	w.state.Tenants = []consumer.TenantState{{Tenant: "acme", Queued: 5, Bytes: 512}}
	w.state.DeadLetters = map[consumer.Reason]uint64{consumer.ReasonAttempts: 4}
}

// handled tells of a run; a result that is not given is a success.
func (w *worker) handled(h consumer.Handled) {
	if h.Result == "" {
		h.Result = consumer.ResultSuccess
	}
	w.events.Handled(h)
}

// ran tells of n runs of a tenant that took a second each.
func (w *worker) ran(tenant string, n int) {
	for range n {
		w.handled(consumer.Handled{Tenant: tenant, Took: time.Second})
	}
}

func (w *worker) pass(d time.Duration) { w.state.At = w.state.At.Add(d) }

func (w *worker) families() []*dto.MetricFamily {
	w.tb.Helper()
	fs, err := w.registry.Gather()
	if err != nil {
		w.tb.Fatal(err)
	}
	return fs
}

// series returns the metrics of one name, keyed by their labels less stream and
// durable.
func (w *worker) series(name string) map[string]*dto.Metric {
	w.tb.Helper()
	for _, f := range w.families() {
		if f.GetName() == name {
			return byLabels(f)
		}
	}
	return nil
}

func byLabels(f *dto.MetricFamily) map[string]*dto.Metric {
	found := make(map[string]*dto.Metric)
	for _, m := range f.GetMetric() {
		var labels []string
		for _, l := range m.GetLabel() {
			if l.GetName() != "stream" && l.GetName() != "durable" {
				labels = append(labels, fmt.Sprintf("%s=%q", l.GetName(), l.GetValue()))
			}
		}
		found[strings.Join(labels, ",")] = m
	}
	return found
}

// byTenant returns the values of a metric by tenant; those of another metric's
// series follow as they are.
func (w *worker) byTenant(name string) map[string]float64 {
	w.tb.Helper()
	values := make(map[string]float64)
	for _, m := range w.series(name) {
		values[value(m.GetLabel(), "tenant")] += number(m)
	}
	return values
}

// want scrapes once and compares. A series is written name{label="value",…}; a label
// without a value is not compared.
func (w *worker) want(want map[string]float64) {
	w.tb.Helper()
	got := w.all()
	for _, series := range slices.Sorted(maps.Keys(want)) {
		v, found := lookup(got, series)
		switch {
		case !found:
			w.tb.Errorf("no %s", series)
		case v != want[series]:
			w.tb.Errorf("%s is %v, want %v", series, v, want[series])
		}
	}
}

func (w *worker) wantNo(series string) {
	w.tb.Helper()
	if v, found := lookup(w.all(), series); found {
		w.tb.Errorf("%s is shown, with %v", series, v)
	}
}

func (w *worker) all() map[string][]*dto.Metric {
	w.tb.Helper()
	all := make(map[string][]*dto.Metric)
	for _, f := range w.families() {
		all[f.GetName()] = f.GetMetric()
	}
	return all
}

func lookup(all map[string][]*dto.Metric, series string) (v float64, found bool) {
	name, labels, _ := strings.Cut(strings.TrimSuffix(series, "}"), "{")
next:
	for _, m := range all[name] {
		for label := range strings.SplitSeq(labels, ",") {
			k, v, _ := strings.Cut(label, "=")
			if v != "" && value(m.GetLabel(), k) != strings.Trim(v, `"`) {
				continue next
			}
		}
		return number(m), true
	}
	return 0, false
}

func value(labels []*dto.LabelPair, name string) string {
	for _, l := range labels {
		if l.GetName() == name {
			return l.GetValue()
		}
	}
	return ""
}

// number returns the value, of a histogram the count.
func number(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	default:
		return float64(m.GetHistogram().GetSampleCount())
	}
}
