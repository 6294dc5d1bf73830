// Package load is an open-loop load generator: it sends when the schedule says, not when
// the answer to what it sent before has come.
//
//	runner, err := load.New(load.Config{
//		Stages: []load.Stage{{From: 1000, To: 1000, For: 30 * time.Second}}, // 1000/s
//	})
//	...
//	result := runner.Run(ctx, load.Func(func(ctx context.Context, r load.Request) error {
//		return call(ctx, r.Tenant)
//	}))
//	result.WriteText(os.Stdout)
//
// # Coordinated omission
//
// A closed loop sends, waits for the answer and sends again. If what it measures stalls
// for a second, the loop stalls with it: of the thousand requests that users would have
// sent in that second it sends as many as it has workers, and only those are slow. The
// generator and its target have agreed to leave out the bad news.
//
// Here each request has a time at which it is due, drawn beforehand from the seed alone,
// and its latency is
//
//	latency = done - due
//
// so that a request which is sent late, for whatever reason, has waited since it was due.
// A stall of D at a rate r is seen as rD slow requests, evenly spread from D down to
// nothing, with a mean of D/2: 1 s at 1000/s is 1000 of 500 ms in the mean.
// [Runner.RunClosed] is the naive loop over the same schedule, to look at beside it.
//
// # The way of a request
//
//	scheduled ─▶ due ──▶ sent ──▶ ok          Call.Done(nil)
//	              │        ├────▶ failed      Call.Done(err), or Config.Timeout passed
//	              │        └────▶ unfinished  the run was ended before
//	              └─▶ dropped                 Config.MaxInFlight for longer than MaxDelay,
//	                                          or the run was ended before it was sent
//
// At the end of every run, whatever became of the target and whenever it was cancelled,
//
//	sent + dropped = scheduled        ok + failed + unfinished = sent
//
// where scheduled is what was due until the end.
//
// # Schedule
//
// With r(t) the rate and R(t) its integral, the k-th request is due at the t where R(t) =
// x(k): x(k) = k for a constant rate, the sum of k+1 exponential variates of mean 1 for a
// Poisson process. As R is known in closed form for rates that are constant or change
// linearly, ramps and steps are exact, nothing accumulates rounding from gap to gap, and
// a rate that varies gives the Poisson process of that rate (time rescaling).
//
// # Validity
//
// How late requests were sent is told apart from how long they took. A run in which the
// 99th percentile of that is above [MaxLag] says that it is not valid, and why: what was
// measured is this machine. Go's time.Sleep of 50 µs takes 1.1 ms, so the pacer
// sleeps in the kernel (0.12 ms on Linux), and sends all that is due at each wake-up.
package load
