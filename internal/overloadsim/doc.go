// Package overloadsim simulates, in virtual time, callers that overload a downstream
// through a concurrency limiter. It does not know any limiter: tests of ours and the
// module bench put theirs, or a peer's, behind Admitter.
//
//	res := overloadsim.Run(overloadsim.Scenario{
//		Name:     "plain",
//		Duration: 2 * time.Minute,
//		Load:     overloadsim.Always(2400),
//	}, func(process int) overloadsim.Admitter { … })
//	fmt.Println(res.Goodput(time.Minute, 2*time.Minute), res.Quantile(0.99, time.Minute, 2*time.Minute))
//
// # The model
//
//	Poisson arrivals ──▶ limiter ──▶ queue, first in first out ──▶ workers ──▶ answer
//	                        │                   └── the caller may give up: Timeout
//	                        └──▶ refused, and gone
//
// An arrival asks one of the processes, drawn at random, for a permit and is gone if it
// gets none. Who gets one waits in the one queue of the downstream for one of its workers.
// A service time is drawn when the worker begins:
//
//	service = Service() × Slow(t) × (1 + Thrash × max(0, inside − workers) / workers)
//
// where inside is how many the downstream holds, this one included: with Thrash 0.1 a
// downstream that holds twice as many as it has workers is 10 % slower. A worker that is
// taken away finishes what it has. An answer within Deadline of its permit is good;
// goodput is good answers a second.
//
// With Timeout, a caller that has waited so long releases its permit as dropped, and the
// downstream works on all the same, for nobody. While Dead, what arrives is never
// answered, and costs no worker. RefuseAbove makes the downstream refuse at once, as with
// a 429, what it would hold beyond that many.
//
// A run is a function of the scenario and its seed.
package overloadsim
