// Package limiter says how many calls a downstream gets: how many at once, by Limiter, and
// how many in a second, by TokenBucket. It knows no broker and no network.
//
//	l, err := limiter.New(limiter.Config{})
//	...
//	p, err := l.Acquire(ctx)         // or TryAcquire: refuses instead of waiting
//	if err != nil {
//		return err
//	}
//	defer p.Release(limiter.Ignore)  // a panic or an early return loses no permit
//	err = call(ctx)
//	p.Release(outcome(err))          // Success, Drop or Ignore; the first Release counts
//
// # The way of a permit
//
//	            TryAcquire, refused ─▶ (OnReady, once one is free)
//	           ╱
//	free ──Acquire──▶ out ──Release──▶ free
//	           ╲       │
//	        waiting    └─ Success, Drop ─▶ window ─▶ algorithm ─▶ limit (OnChange)
//
// Permits are values that know their slot and how often it was used, so a release that runs
// twice, even after the slot is somebody else's, does nothing. Those who wait in Acquire are
// served in order, and TryAcquire does not overtake them.
//
// # Algorithms
//
// An algorithm is a pure update: from its state and a window of samples to a limit and to
// how long it wants to watch that limit. A sample is how long a call took, how many were in
// flight when it began, whether the limit was reached while it ran, and its outcome. All of
// them keep these rules, each of which a well-known library breaks:
//
//   - How long a drop took is never learned from, and that it was dropped always is.
//   - Nothing grows while the limit does not bind: half of the calls at least must have run
//     while the limit was reached.
//   - What calls take without load is never measured under load: the limit is lowered for
//     it, for a moment.
//   - Limits are fractions inside. Rounding stops no movement.
//   - Config.Brake is absolute. No baseline moves it.
//
// Fixed holds Config.Max, and None limits nothing. AIMD adds 1 for each Successes and
// multiplies by Backoff once for each burst of drops. Vegas (Brakmo and Peterson's, as
// Netflix adapted it) keeps lg to 6 lg calls in the downstream's queue, lg the logarithm of
// the limit; Gradient (Netflix's second) multiplies by 1.5·long/short, the ratio of a
// slowly moving round-trip time and the last, and adds 4. Both work on means of half a
// second; each thirtieth is measured at half the limit, and that is the only way up for
// their baseline. SLO cuts when more calls pass Target than 1 in 100 makes likely, and grows
// when among a thousand no more than that did. NewAIMD is the AIMD of the textbooks, alone.
//
// # Adaptive, the default
//
// Adaptive knows neither a latency target nor how long a call should take. Let X(L) be
// successes a second at limit L, when L binds. By Little's law each success costs L/X(L)
// seconds of permits, drops included: call it the cost C(L). Below the knee K the downstream
// has a worker for each call, and C is the service time S, whatever L is. Above it X stays
// the same and C grows as L does; if the downstream thrashes, faster. So compare two limits
// l < L:
//
//	both below K     C(l)/C(L) = 1        K is L at least
//	K in between     C(l)/C(L) = K/L      as C(l) = S, and C(L) = L·S/K
//	both above K     C(l)/C(L) = l/L      K is l at most
//
// In each case L·C(l)/C(L) is the best estimate of K that the two can give, and needs no
// memory of how fast the downstream once was. That is why a downstream that becomes twice
// as slow with the same number of workers does not move the limit at all, where a baseline
// of last minute would halve it.
//
//	       first     a raise brings half of what it could
//	begin ──────▶ climb ───────────────────────────▶ cruise ◀──────────┐
//	                ▲                                  │ due           │ K in between:
//	                │  no queue of ours at all         ▼               │ L moves towards it
//	                └────────────────────────────── probe ─▶ check ────┘
//	                                                   │ K is below: go on from there
//	most calls dropped: L/2, until they are not        └──▶ probe
//
// Each 5 seconds (longer if calls are slow, so that a probe takes an eighth of the time at
// most) the limit goes to 0.85 L for 96 calls or half a second, and back, and is decided on
// when the return shows that the downstream has not changed meanwhile. Where the probe finds
// nothing better below, the next goes to 0.75 L, then to half, then on from there without
// return. A mean that jumps by half brings the next probe forward. Where a raise seems to
// cost nothing, it climbs: by a quarter, and more each time. The limit goes towards
//
//	K + ½ √K     (less below four workers)
//
// by a share that is the smaller the larger the standard error of the estimate: a Kalman
// gain, with 5 % of K as what may have changed since the last. The headroom keeps workers
// from waiting for the next call, and grows as chance does.
//
// Why can it not ratchet? L' = L·C(l)/C(L) + room. Above the knee C(l)/C(L) = l/L < 1, so L
// shrinks by a factor and grows by a sum: it has a fixed point, whatever it began from.
//
// If n processes share a downstream, one that probes alone lowers the load by 15 %/n, and
// mistakes the others' queue for service: the fixed point is then about n times n rooms
// instead of n. So probes begin at multiples of the period by the wall clock: processes
// whose clocks agree to some tens of milliseconds, as NTP does it, probe together, see what
// they all do to the downstream, and keep a queue of n rooms. If they do not agree, the room
// shrinks from where calls take more than three times the best of the last ten minutes, and
// nothing climbs from where they take half as long again; the queue stays bounded, and is
// longer (row "apart" of the simulation).
//
// Drops are in the cost as time spent, so they need no rule of their own to find the knee.
// Beyond that, a window with most calls and most of the time lost halves the limit, at once
// and down to Min, and climbs as soon as calls succeed; a window with more drops than chance
// explains, beside what probes show that less load does not cure, gives up the permits that
// drops held, and stays there for half a minute.
//
// # What the simulation says
//
// SIMULATION.md has the table: 15 cases, in virtual time, of all algorithms beside the best
// fixed limit and beside other libraries. The bounds of Adaptive are tests: goodput at least
// 0.98 and p99 at most 1.25 of the best fixed limit's under ten times the load, with a
// downstream that thrashes, with one that becomes twice as slow, in the last of 30 minutes
// at three times the load, and from 10 s after a fault.
//
// # Time
//
// Methods read the monotonic clock. The forms with a time (TryAcquireAt, ReleaseAt) take the
// caller's instead; use one or the other. A call that ends before it began, or across a step
// of the clock, gives its permit back and teaches nothing. Times further than 292 years from
// New are not told apart: a virtual clock must not begin at the zero time.
//
// # TokenBucket
//
// A TokenBucket bounds events a second with a burst. It is one word: the time at which the
// bucket would be full again if nothing more came. See its documentation.
package limiter
