package metrics

import "github.com/prometheus/client_golang/prometheus"

// descs names every metric of the package. Names and labels are part of the
// contract of Spillway and do not change.
type descs struct {
	pulled, settled, shed, redelivered, overloads, deadLetters *prometheus.Desc
	queueDepth, queueBytes, queueWait, handle, endToEnd        *prometheus.Desc
	overflow                                                   *prometheus.Desc
	inFlight, workers, stuck                                   *prometheus.Desc
	pullBatch, pullCredit, pullPaused                          *prometheus.Desc
	backlog, lagMessages, ackPending, lagSeconds               *prometheus.Desc
	leasesExtended, leasesLost, workerSeconds, buildInfo       *prometheus.Desc
	concurrencyLimit, breakerState, noisy                      *prometheus.Desc
	rateDegraded, tenantRatesDegraded                          *prometheus.Desc

	all []*prometheus.Desc
}

func newDescs(constant prometheus.Labels) descs {
	var d descs
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		made := prometheus.NewDesc("spillway_"+name, help, labels, constant)
		d.all = append(d.all, made)
		return made
	}
	d.pulled = desc("messages_pulled_total", "Messages received from JetStream.", "lane")
	d.settled = desc("messages_settled_total", "Deliveries settled, by outcome.", "downstream", "outcome")
	d.shed = desc("messages_shed_total", "Messages that came to a queue at its high watermark and were not queued.", "tenant", "policy")
	d.redelivered = desc("messages_redelivered_total", "Messages received that had been delivered before.")
	d.overloads = desc("overloads_total", "Runs of a handler that ended with an overload answer.", "downstream")
	d.deadLetters = desc("dead_letters_total", "Messages moved to the dead letters.", "reason")
	d.queueDepth = desc("queue_depth", "Messages waiting in this process.", "tenant")
	d.queueBytes = desc("queue_bytes", "Size of the messages waiting in this process.", "tenant")
	d.overflow = desc("overflow_messages", "Messages in the overflow of a tenant's queues.", "tenant")
	d.queueWait = desc("queue_wait_seconds", "Time from the arrival of a message in this process to the start of its handler.", "downstream")
	d.handle = desc("handle_seconds", "Time from the start of a handler to its end.", "downstream", "result")
	d.endToEnd = desc("end_to_end_seconds", "Time from the publication of a message to the end of a run of its handler.", "downstream", "result")
	d.inFlight = desc("in_flight", "Handlers running.")
	d.workers = desc("workers", "Handlers that may run at once in this process.")
	d.stuck = desc("stuck_handlers", "Handlers whose context has ended and that have not returned.")
	d.pullBatch = desc("pull_batch_size", "Size of the last pull request.", "lane")
	d.pullCredit = desc("pull_credit", "How many messages may still be asked for.", "lane")
	d.pullPaused = desc("pull_paused", "Lanes that do not pull, by reason.", "reason")
	d.backlog = desc("backlog_messages", "Messages that the durable still has to do, in all processes: pending, unacknowledged, in overflows and waiting for a retry.")
	d.lagMessages = desc("lag_messages", "Messages that JetStream has not delivered yet.", "lane")
	d.ackPending = desc("ack_pending", "Messages delivered and not settled, in all processes.", "lane")
	d.lagSeconds = desc("lag_seconds", "Age of the oldest message known to be unsettled.")
	d.leasesExtended = desc("leases_extended_total", "Leases of held messages that were extended.")
	d.leasesLost = desc("leases_lost_total", "Leases of held messages that ran out.")
	d.workerSeconds = desc("tenant_worker_seconds_total", "Time that handlers spent on a tenant.", "tenant")
	d.concurrencyLimit = desc("concurrency_limit", "Messages that may run at once for a downstream in this process.", "downstream")
	d.breakerState = desc("breaker_state", "State of the breaker of a downstream: 1 for the one it is in.", "downstream", "state")
	d.rateDegraded = desc("rate_limit_degraded", "Whether the shared rate of a downstream is decided without the other processes, as Redis does not answer.", "downstream")
	d.tenantRatesDegraded = desc("tenant_rate_limits_degraded", "Tenants whose shared rate is decided without the other processes, as Redis does not answer.")
	d.noisy = desc("tenant_noisy", "Whether a tenant takes more than two thirds of the workers while others have work too.", "tenant")
	d.buildInfo = desc("build_info", "Always 1; how the program was built.", "version", "goversion")
	return d
}
