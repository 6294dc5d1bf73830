package metrics

import (
	"runtime"
	"runtime/debug"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillwaymq/spillway/consumer"
)

// rows are the metrics of one scrape.
type rows []prometheus.Metric

func (r *rows) gauge(d *prometheus.Desc, v float64, labels ...string) {
	r.add(prometheus.NewConstMetric(d, prometheus.GaugeValue, v, labels...))
}

func (r *rows) counter(d *prometheus.Desc, v float64, labels ...string) {
	r.add(prometheus.NewConstMetric(d, prometheus.CounterValue, v, labels...))
}

// add leaves out what cannot be shown, which is a label that is not UTF-8, such as a
// downstream that was named so: shown, it would fail the whole scrape.
func (r *rows) add(m prometheus.Metric, err error) {
	if err == nil {
		*r = append(*r, m)
	}
}

func (m *Collector) gatherProcess(out *rows, s consumer.Snapshot) {
	out.gauge(m.descs.buildInfo, 1, m.version, runtime.Version())
	out.gauge(m.descs.inFlight, float64(s.InFlight))
	out.gauge(m.descs.workers, float64(s.Workers))
	out.gauge(m.descs.stuck, float64(s.Stuck))
	out.gauge(m.descs.backlog, float64(s.Backlog))
	out.gauge(m.descs.lagSeconds, s.OldestAge.Seconds())
	out.counter(m.descs.leasesExtended, float64(s.LeasesExtended))
	out.counter(m.descs.leasesLost, float64(s.LeasesLost))
	for _, reason := range reasons {
		out.counter(m.descs.deadLetters, float64(s.DeadLetters[reason]), string(reason))
	}
	var others uint64
	for reason, n := range s.DeadLetters {
		if indexOf(reasons, reason) == len(reasons) {
			others += n
		}
	}
	if others > 0 {
		out.counter(m.descs.deadLetters, float64(others), unknown)
	}
}

// gatherLanes adds lanes of one name up: there may be several, of one queue each.
func (m *Collector) gatherLanes(out *rows, s consumer.Snapshot) {
	var order []consumer.Lane
	sums := make(map[consumer.Lane]consumer.LaneState)
	var redelivered uint64
	for _, l := range s.Lanes {
		sum, seen := sums[l.Lane]
		if !seen {
			order = append(order, l.Lane)
		}
		sum.Pulled += l.Pulled
		sum.Pending += l.Pending
		sum.AckPending += l.AckPending
		sum.Credit += l.Credit
		sum.Batch = max(sum.Batch, l.Batch)
		sums[l.Lane] = sum
		redelivered += l.Redelivered
	}
	for _, lane := range order {
		sum, label := sums[lane], string(lane)
		out.counter(m.descs.pulled, float64(sum.Pulled), label)
		out.gauge(m.descs.lagMessages, float64(sum.Pending), label)
		out.gauge(m.descs.ackPending, float64(sum.AckPending), label)
		out.gauge(m.descs.pullCredit, float64(sum.Credit), label)
		out.gauge(m.descs.pullBatch, float64(sum.Batch), label)
	}
	out.counter(m.descs.redelivered, float64(redelivered))
	m.gatherPaused(out, s)
}

// gatherPaused shows every reason, so that one that is over goes back to 0; and as
// breaker:name each breaker, with the lanes that it holds back.
func (m *Collector) gatherPaused(out *rows, s consumer.Snapshot) {
	paused := make([]int, len(pauses)+1)
	for _, l := range s.Lanes {
		if l.Paused != "" {
			paused[indexOf(pauses, l.Paused)]++
		}
	}
	for i, n := range paused {
		if i < len(pauses) || n > 0 {
			out.gauge(m.descs.pullPaused, float64(n), labelOf(pauses, i))
		}
	}
	byBreaker := paused[indexOf(pauses, consumer.PauseBreaker)]
	for _, d := range s.Downstreams {
		switch {
		case d.Breaker == nil:
		case d.Breaker.State == consumer.BreakerClosed:
			out.gauge(m.descs.pullPaused, 0, "breaker:"+d.Downstream)
		default:
			out.gauge(m.descs.pullPaused, float64(byBreaker), "breaker:"+d.Downstream)
		}
	}
}

func (m *Collector) gatherDownstreams(out *rows, s consumer.Snapshot) {
	for _, d := range s.Downstreams {
		out.counter(m.descs.overloads, float64(d.Overloads), d.Downstream)
		m.gatherGuards(out, d)
		m.events.downstream(d.Downstream) // shown with 0 before its first message
	}
	for _, name := range m.events.names() {
		d := m.events.downstream(name)
		for i := range d.settled {
			if n := d.settled[i].Load(); i < len(outcomes) || n > 0 {
				out.counter(m.descs.settled, float64(n), name, labelOf(outcomes, i))
			}
		}
		out.histogram(m.descs.queueWait, shortBounds, &d.wait, name)
		for i := range d.handle {
			m.gatherRuns(out, name, i, d)
		}
	}
}

// gatherGuards shows the limit, the breaker and the shared rate of a downstream that has them.
func (m *Collector) gatherGuards(out *rows, d consumer.DownstreamState) {
	if d.Limit != nil {
		out.gauge(m.descs.concurrencyLimit, float64(d.Limit.Limit), d.Downstream)
	}
	if d.RateShared {
		out.gauge(m.descs.rateDegraded, oneIf(d.RateDegraded), d.Downstream)
	}
	if d.Breaker == nil {
		return
	}
	for _, state := range breakerStates {
		out.gauge(m.descs.breakerState, oneIf(d.Breaker.State == state), d.Downstream, string(state))
	}
}

func oneIf(so bool) float64 {
	if so {
		return 1
	}
	return 0
}

// gatherRuns shows the results that occurred, and success in any case.
func (m *Collector) gatherRuns(out *rows, name string, result int, d *downstreamCounts) {
	label := labelOf(results, result)
	if label != string(consumer.ResultSuccess) && d.handle[result].empty() {
		return
	}
	out.histogram(m.descs.handle, shortBounds, &d.handle[result], name, label)
	out.histogram(m.descs.endToEnd, longBounds, &d.endToEnd[result], name, label)
}

func (m *Collector) gatherTenants(out *rows, s consumer.Snapshot) {
	degraded := 0
	for _, t := range s.Tenants {
		if t.RateDegraded {
			degraded++
		}
	}
	out.gauge(m.descs.tenantRatesDegraded, float64(degraded))
	for _, row := range m.tenants.scrape(s.At, s.Tenants) {
		out.gauge(m.descs.queueDepth, float64(row.queued), row.label)
		out.gauge(m.descs.queueBytes, float64(row.bytes), row.label)
		out.gauge(m.descs.noisy, row.noisy, row.label)
		out.gauge(m.descs.overflow, float64(row.overflow), row.label)
		out.counter(m.descs.workerSeconds, row.totals.worker.Seconds(), row.label)
		for i, n := range row.totals.shed {
			if n > 0 {
				out.counter(m.descs.shed, float64(n), row.label, labelOf(policies, i))
			}
		}
	}
}

const module = "github.com/spillwaymq/spillway"

// moduleVersion returns the version of Spillway in this program.
func moduleVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return unknown
	}
	if info.Main.Path == module {
		return info.Main.Version
	}
	for _, dep := range info.Deps {
		if dep.Path == module {
			return dep.Version
		}
	}
	return unknown
}
