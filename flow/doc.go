// Package flow is bounded plumbing for use inside one process: the everyday patterns of
// backpressure as small types, each of which does one thing.
//
//	p, err := flow.NewPool(flow.PoolConfig{Workers: 8, Queue: 64})
//	...
//	err = p.Submit(func(ctx context.Context) { resize(ctx, picture) }) // blocks when full
//	...
//	err = p.Close(ctx) // what is queued finishes
//
//	Pool             jobs on a fixed number of workers behind a bounded queue
//	Watermark        on above one depth, off below a lower one; a Pool can shed by it
//	Bulkhead         jobs in classes, each with a limit that is its own
//	Admission        HTTP: so many requests at once, 503 and Retry-After for the others
//	SendWithTimeout  a send that gives up
//	LatestN          a buffer that drops the oldest instead of making its writer wait
//	Pipeline         stages with workers and bounded buffers; the first error ends all
//	Hedge            the same read from another replica when the first is late
//
// # What becomes of a job
//
//	            full          room
//	Submit ──▶ waiting ─────────────▶ queued ──worker──▶ in flight ──▶ executed
//	   │          │ context ends         │ Close gives up                 (panicked)
//	   │          ▼                      ▼
//	   │      cancelled               dropped
//	   │ TrySubmit and full, shedding, closed
//	   ▼
//	rejected
//
// Each submit is counted once in what it became: Submitted = Accepted + Rejected +
// Cancelled, and Accepted = Executed + Dropped when all is over. Submit never panics and
// loses nothing while Close runs: it returns nil for a job that will run, or be counted as
// dropped, and an error for one that will not. There is no lock between the two. Submitters
// count themselves in and out, which is wanted for the statistics anyway, and the last who
// is out after Close closes the channel that the workers read; see gate.
//
// # Hysteresis
//
//	        depth > OnAbove
//	off ─────────────────────▶ on
//	    ◀─────────────────────
//	        depth < OffBelow
//
// A Pool that sheds reads the depth and moves the mark in one step, so its queue swings
// from ResumeBelow-1 to ShedAbove+1 under load that lasts, and never passes them.
//
// # How many are held
//
// A Pool holds Workers + Queue jobs, a Bulkhead the sum of its limits, a Pipeline one value
// for each worker and what its buffers take, LatestN n values, and a Hedge at most Replicas
// calls for each Do. Those who wait in a blocking call hold what they bring themselves.
//
// Every goroutine ends before its owner returns: Pool.Close and Bulkhead.Close (with nil),
// Pipeline.Run, Hedge.Do. Nothing leaves a timer behind.
//
// # When a hedge is due
//
// A Hedge learns only from first calls. One that a hedge has overtaken counts with the time
// until then. That is more than the delay, so the share of first calls above the delay is
// learned as it is, though their true times are unknown, and the quantile neither shrinks
// because it cut off the slow ones, nor grows. The budget is a token bucket that calls fill:
// the extra load is at most Burst + Budget × calls, whatever the delay. The technique is from
// J. Dean and L. A. Barroso, "The Tail at Scale", Communications of the ACM 56(2), 2013.
//
// Package flow/metrics shows the statistics to Prometheus.
package flow
