package limiter_test

import (
	"fmt"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// keepBusy has a downstream of eight workers, each of which takes 10 ms for a call, serve all
// that l admits, in virtual time. It returns how long calls take in the end.
func keepBusy(l *limiter.Limiter, during time.Duration) (took time.Duration) {
	start := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for now := start; now.Sub(start) < during; now = now.Add(took) {
		var calls []limiter.Permit
		for p, ok := l.TryAcquireAt(now); ok; p, ok = l.TryAcquireAt(now) {
			calls = append(calls, p)
		}
		took = max(10*time.Millisecond, time.Duration(len(calls))*10*time.Millisecond/8)
		for _, p := range calls {
			p.ReleaseAt(now.Add(took), limiter.Success)
		}
	}
	return took
}

// Vegas keeps the queue in front of the eight workers short.
func ExampleConfig_vegas() {
	l, err := limiter.New(limiter.Config{Algorithm: limiter.Vegas})
	if err != nil {
		fmt.Println(err)
		return
	}
	took := keepBusy(l, time.Minute)
	fmt.Println("limit", l.Limit(), "calls take", took)
	// Output: limit 13 calls take 16.25ms
}

// SLO admits what the eight workers can serve within the target.
func ExampleConfig_slo() {
	l, err := limiter.New(limiter.Config{Algorithm: limiter.SLO, Target: 40 * time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	took := keepBusy(l, time.Minute)
	fmt.Println("limit", l.Limit(), "calls take", took)
	// Output: limit 29 calls take 36.25ms
}
