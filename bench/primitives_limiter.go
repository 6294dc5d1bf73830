package main

import (
	"context"
	"time"

	"github.com/failsafe-go/failsafe-go/adaptivelimiter"
	"github.com/platinummonkey/go-concurrency-limits/core"
	"github.com/platinummonkey/go-concurrency-limits/limit"
	concurrency "github.com/platinummonkey/go-concurrency-limits/limiter"
	"github.com/platinummonkey/go-concurrency-limits/strategy"

	"github.com/spillwaymq/spillway/limiter"
)

// manyPermits is more than there are processors: nobody is refused.
const manyPermits = 64

// limits are what bounds how many calls run at once.
var limits = []duel{
	{
		claim: "concurrency limiter acquire and release", bound: 100,
		ours:  duelist{"limiter", startLimiter(limiter.Config{Min: manyPermits})},
		peers: []duelist{{"failsafe-go", startAdaptive}, {"go-concurrency-limits", startConcurrency}},
	},
	{
		claim: "the same, a fixed limit",
		ours:  duelist{"limiter", startLimiter(limiter.Config{Algorithm: limiter.Fixed, Max: manyPermits})},
		peers: []duelist{{"failsafe-go", startAdaptive}, {"go-concurrency-limits", startConcurrency}},
	},
}

func startLimiter(c limiter.Config) func() (operation, error) {
	return func() (operation, error) {
		l, err := limiter.New(c)
		if err != nil {
			return nil, err
		}
		return func(uint64) bool {
			p, ok := l.TryAcquire()
			if ok {
				p.Release(limiter.Success)
			}
			return ok
		}, nil
	}
}

func startAdaptive() (operation, error) {
	l := adaptivelimiter.NewBuilder[any]().WithLimits(manyPermits, 200, manyPermits).Build()
	return func(uint64) bool {
		p, ok := l.TryAcquirePermit()
		if ok {
			p.Record()
		}
		return ok
	}, nil
}

func startConcurrency() (operation, error) {
	l, err := concurrency.NewDefaultLimiter(
		limit.NewFixedLimit("bench", manyPermits, core.EmptyMetricRegistryInstance),
		int64(time.Second), int64(time.Second), int64(100*time.Microsecond), 100,
		strategy.NewSimpleStrategy(manyPermits), limit.NoopLimitLogger{}, core.EmptyMetricRegistryInstance,
	)
	if err != nil {
		return nil, err
	}
	ctx := context.Background()
	return func(uint64) bool {
		p, ok := l.Acquire(ctx)
		if ok {
			p.OnSuccess()
		}
		return ok
	}, nil
}
