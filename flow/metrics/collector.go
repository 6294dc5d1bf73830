package metrics

import (
	"fmt"
	"iter"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillwaymq/spillway/flow"
)

// The sources are interfaces so that what wraps a type of flow can be shown as well.
type (
	// PoolSource is a *flow.Pool.
	PoolSource interface{ Stats() flow.PoolStats }
	// BulkheadSource is a *flow.Bulkhead.
	BulkheadSource interface {
		Stats() iter.Seq2[string, flow.ClassStats]
	}
	// AdmissionSource is a *flow.Admission.
	AdmissionSource interface{ Stats() flow.AdmissionStats }
)

// Collector is a prometheus.Collector over one source. It is safe for concurrent use.
type Collector struct {
	descs  []*prometheus.Desc
	gather func(out *rows)
}

// Describe implements prometheus.Collector.
func (c *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c *Collector) Collect(ch chan<- prometheus.Metric) {
	var out rows
	c.gather(&out)
	for _, m := range out {
		ch <- m
	}
}

// newCollector checks what all have in common.
func newCollector(name string, missing bool) (*Collector, error) {
	switch {
	case missing:
		return nil, fmt.Errorf("metrics: the source of %q is nil: must be set", name)
	case name == "" || !utf8.ValidString(name):
		return nil, fmt.Errorf("metrics: name is %q: must be UTF-8, and of 1 byte at least", name)
	}
	return &Collector{}, nil
}

func (c *Collector) desc(name, metric, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(metric, help, labels, prometheus.Labels{"name": name})
	c.descs = append(c.descs, d)
	return d
}

// Pool returns a Collector over p, which is shown by the name given.
func Pool(name string, p PoolSource) (*Collector, error) {
	c, err := newCollector(name, p == nil)
	if err != nil {
		return nil, err
	}
	submitted := c.desc(name, "pool_submitted_total", "Jobs submitted, by what became of it.", "result")
	depth := c.desc(name, "pool_queue_depth", "Jobs that wait for a worker.")
	capacity := c.desc(name, "pool_queue_capacity", "Jobs that may wait for a worker.")
	inFlight := c.desc(name, "pool_in_flight", "Jobs running.")
	workers := c.desc(name, "pool_workers", "Jobs that may run at once.")
	waiting := c.desc(name, "pool_waiting", "Submitters that wait for room.")
	panics := c.desc(name, "pool_panics_total", "Jobs that panicked.")
	wait := c.desc(name, "pool_submit_wait_seconds", "Time that submitters waited for room.")
	c.gather = func(out *rows) {
		s := p.Stats()
		out.counter(submitted, s.Accepted, "accepted")
		out.counter(submitted, s.Rejected, "rejected")
		out.counter(submitted, s.Cancelled+s.Dropped, "dropped")
		out.gauge(depth, s.Queued)
		out.gauge(capacity, s.Queue)
		out.gauge(inFlight, s.InFlight)
		out.gauge(workers, s.Workers)
		out.gauge(waiting, s.Waiting)
		out.counter(panics, s.Panicked)
		out.histogram(wait, s.Wait)
	}
	return c, nil
}

// Bulkhead returns a Collector over b, which is shown by the name given.
func Bulkhead(name string, b BulkheadSource) (*Collector, error) {
	c, err := newCollector(name, b == nil)
	if err != nil {
		return nil, err
	}
	submitted := c.desc(name, "bulkhead_submitted_total", "Jobs submitted, by what became of it.", "class", "result")
	inFlight := c.desc(name, "bulkhead_in_flight", "Jobs running.", "class")
	limit := c.desc(name, "bulkhead_limit", "Jobs that may run at once.", "class")
	waiting := c.desc(name, "bulkhead_waiting", "Callers that wait for room.", "class")
	panics := c.desc(name, "bulkhead_panics_total", "Jobs that panicked.", "class")
	wait := c.desc(name, "bulkhead_submit_wait_seconds", "Time that callers waited for room.", "class")
	c.gather = func(out *rows) {
		for class, s := range b.Stats() {
			out.counter(submitted, s.Accepted, class, "accepted")
			out.counter(submitted, s.Rejected, class, "rejected")
			out.counter(submitted, s.Cancelled, class, "dropped")
			out.gauge(inFlight, s.InFlight, class)
			out.gauge(limit, s.Limit, class)
			out.gauge(waiting, s.Waiting, class)
			out.counter(panics, s.Panicked, class)
			out.histogram(wait, s.Wait, class)
		}
	}
	return c, nil
}

// Admission returns a Collector over a, which is shown by the name given.
func Admission(name string, a AdmissionSource) (*Collector, error) {
	c, err := newCollector(name, a == nil)
	if err != nil {
		return nil, err
	}
	rejected := c.desc(name, "rejected_total", "Requests refused because the limit was reached.")
	admitted := c.desc(name, "admitted_total", "Requests handled, those of exempt paths apart.")
	inflight := c.desc(name, "inflight", "Requests being handled, those of exempt paths apart.")
	c.gather = func(out *rows) {
		s := a.Stats()
		out.counter(rejected, s.Rejected)
		out.counter(admitted, s.Admitted)
		out.gauge(inflight, s.Inflight)
	}
	return c, nil
}

// rows are the metrics of one scrape.
type rows []prometheus.Metric

func (r *rows) counter(d *prometheus.Desc, v uint64, labels ...string) {
	r.add(prometheus.NewConstMetric(d, prometheus.CounterValue, float64(v), labels...))
}

func (r *rows) gauge(d *prometheus.Desc, v int, labels ...string) {
	r.add(prometheus.NewConstMetric(d, prometheus.GaugeValue, float64(v), labels...))
}

func (r *rows) histogram(d *prometheus.Desc, h flow.Histogram, labels ...string) {
	var below uint64
	cumulative := make(map[float64]uint64, len(h.Bounds))
	for i, bound := range h.Bounds {
		below += h.Counts[i]
		cumulative[bound.Seconds()] = below
	}
	r.add(prometheus.NewConstHistogram(d, h.Count(), h.Sum.Seconds(), cumulative, labels...))
}

// add leaves out what cannot be shown, which is a class whose name is not UTF-8: shown, it
// would fail the whole scrape.
func (r *rows) add(m prometheus.Metric, err error) {
	if err == nil {
		*r = append(*r, m)
	}
}
