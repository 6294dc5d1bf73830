// Package metrics is a Prometheus collector over a consumer.
//
//	c, err := consumer.New(js, cfg, handler)
//	...
//	m, err := metrics.New(c, metrics.Options{}) // before Run
//	...
//	prometheus.MustRegister(m)
//	err = c.Run(ctx)
//
// A program without a registry serves what Handler returns.
//
// What a scrape shows comes from two sources. Gauges, and counters that the
// consumer keeps anyway, are read from its Snapshot when a scrape asks. Durations
// and what is told by tenant are counted from the events of its Observer, as the
// consumer forgets tenants that have nothing to do. An event costs some atomic
// additions and allocates nothing.
//
// # Tenants
//
// A label per tenant has no bound, so at most Options.Tenants of them have one: at
// each scrape, free labels go to the tenants that had, or have, the most messages
// since the scrape before. A label is kept until its tenant was idle for
// Options.TenantIdle, however busy others are, so that no series comes and goes;
// all other tenants are told together as "_other".
//
// No counter falls. What a tenant did before it had a label stays with "_other",
// and what it did with one ends with its series: if it comes back, it starts at 0
// like a process that was restarted, which rate() and increase() understand.
//
// A tenant that is really called "_other" is labelled "__other", one called
// "__other" "___other", and so on, so that no two tenants share a label.
//
// # Histograms
//
// The buckets go by 1, 2.5, 5 from 100 µs, below which a handler did nothing worth
// telling apart, to 10 minutes; those of the time from publication to the end go on
// to a day, since a message may wait for a backlog and for its retries. They are
// classic histograms and counted here, at 20 ns an observation: one of client_golang's
// costs 60 ns, with native buckets 80, and a run of a handler makes three.
package metrics
