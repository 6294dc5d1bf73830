// Package breaker decides whether a downstream may be called at all: a circuit breaker. It
// opens when too many calls fail or are slow, refuses while it is open, then lets a few
// probes through, and closes when they succeed.
//
//	b, err := breaker.New(breaker.Config{FailureRatio: 0.5, MinCalls: 20, Window: 10 * time.Second})
//	...
//	err = b.Do(ctx, func(ctx context.Context) error { return client.Call(ctx) })
//	if open, ok := errors.AsType[*breaker.OpenError](err); ok {
//		// not called; the next try may be worth it at open.Until
//	}
//
// Allow and Permit.Record are the two halves of Do, for those whose calls begin and end in
// different places.
//
// # States
//
//	          too many failed, or were slow
//	closed ───────────────────────────────────▶ open ◀──┐
//	  ▲                                           │      │ a probe failed, or was slow:
//	  │ all probes succeeded       at Until, when │      │ open for twice as long
//	  │                          somebody asks    ▼      │
//	  └─────────────────────────────────────── half-open ┘
//
// Closed, results are counted over a window: the last Config.Window of time, in buckets of a
// second (of a tenth of the window if that is less), or the last Config.Calls results. It
// opens as soon as there are MinCalls results and FailureRatio of them are failures, or
// SlowRatio of them took longer than SlowCall. The window starts empty after each change of
// state.
//
// Open, nothing is admitted for min(MaxOpen, Open·2ⁿ), give or take a fifth by chance, so
// that many processes do not come back at once; n counts the times it opened since it was
// last closed. Then it waits for somebody to ask: there is no goroutine and no timer.
//
// Half-open, Config.Probes calls are admitted. When as many have succeeded it closes. A probe
// that has not been recorded after ProbeTimeout gives up its place to another, so that a lost
// one cannot wedge the breaker; if its result comes after all, it counts.
//
// # Results
//
// Success and Failure say something about the downstream, Ignored does not: a call that its
// caller cancelled, an answer that says "too much at present" (that is for a limiter; opening
// on it turns an overload into an outage). A Permit carries the generation of the breaker,
// which every change of state ends: a result from before a change says nothing about what is
// after it, and changes nothing.
//
// # Clocks
//
// Allow, Record, Do, Trip, Reset and Snapshot go by the monotonic clock, which never steps.
// The methods with At in their names, and Ready, take the time from the caller. One that was
// read a little before another counts as the later one. A clock that steps back by more than
// a second changes nothing: the breaker goes on from where it was, and what it says of times
// follows the new clock. One that steps forward ends what would have ended by then. Times
// more than 146 years from New count as no further away.
package breaker
