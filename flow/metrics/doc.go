// Package metrics shows what package flow does to Prometheus.
//
//	p, err := flow.NewPool(flow.PoolConfig{})
//	...
//	m, err := metrics.Pool("resize", p)
//	...
//	prometheus.MustRegister(m)
//
// Each collector reads the Stats of one Pool, Bulkhead or Admission when a scrape asks; in
// between it costs nothing. Every metric has the label name, so that several of a kind can
// be registered together, each with a name of its own.
//
//	pool_submitted_total{result="accepted|rejected|dropped"}
//	pool_queue_depth, pool_queue_capacity, pool_in_flight, pool_workers, pool_waiting
//	pool_panics_total
//	pool_submit_wait_seconds                                            histogram
//
//	bulkhead_submitted_total{class, result="accepted|rejected|dropped"}
//	bulkhead_in_flight{class}, bulkhead_limit{class}, bulkhead_waiting{class}
//	bulkhead_panics_total{class}
//	bulkhead_submit_wait_seconds{class}                                 histogram
//
//	rejected_total, admitted_total, inflight                            of an Admission
//
// A submit is accepted when its job is queued, rejected when it is refused at once, and
// dropped when its context ended before there was room. A job that was queued and dropped
// by a Pool.Close that gave up is counted as dropped, too.
package metrics
