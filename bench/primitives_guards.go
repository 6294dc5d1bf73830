package main

import (
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
	"golang.org/x/time/rate"

	"github.com/spillwaymq/spillway/breaker"
	"github.com/spillwaymq/spillway/limiter"
)

// guards are what decides whether something may run now.
var guards = []duel{
	{
		claim: "token bucket Allow, all admitted", bound: 40,
		ours:  duelist{"limiter.TokenBucket", startBucket(allAdmitted)},
		peers: []duelist{{"x/time/rate", startRate(allAdmitted)}},
	},
	{
		claim: "token bucket Allow, most refused", bound: 40,
		ours:  duelist{"limiter.TokenBucket", startBucket(mostRefused)},
		peers: []duelist{{"x/time/rate", startRate(mostRefused)}},
	},
	{
		claim: "breaker allow and record, count window", bound: 40,
		ours:  duelist{"breaker", startBreaker(breaker.Config{Calls: 100}, never)},
		peers: []duelist{{"failsafe-go", startFailsafe(countWindow, never)}, {"gobreaker", startGobreaker(never)}},
	},
	{
		claim: "breaker allow and record, time window", bound: 70,
		ours:  duelist{"breaker", startBreaker(breaker.Config{Window: 10 * time.Second}, never)},
		peers: []duelist{{"failsafe-go", startFailsafe(timeWindow, never)}, {"gobreaker", startGobreaker(never)}},
	},
	{
		claim: "the same, time window, slow calls judged",
		ours:  duelist{"breaker", startBreaker(breaker.Config{Window: 10 * time.Second, SlowCall: time.Second}, never)},
		peers: []duelist{{"failsafe-go", startFailsafe(timeWindow, never)}, {"gobreaker", startGobreaker(never)}},
	},
	{
		claim: "the same, time window, each tenth call fails",
		ours:  duelist{"breaker", startBreaker(breaker.Config{Window: 10 * time.Second}, tenth)},
		peers: []duelist{{"failsafe-go", startFailsafe(timeWindow, tenth)}, {"gobreaker", startGobreaker(tenth)}},
	},
}

// Rates in events a second: more than can be asked for, and less by far.
const (
	allAdmitted = 1e9
	mostRefused = 1e6
	rateBurst   = 1_000
)

func startBucket(perSecond float64) func() (operation, error) {
	return func() (operation, error) {
		b, err := limiter.NewTokenBucket(limiter.Rate{Events: perSecond, Per: time.Second, Burst: rateBurst})
		if err != nil {
			return nil, err
		}
		return func(uint64) bool { return b.Allow() }, nil
	}
}

func startRate(perSecond float64) func() (operation, error) {
	return func() (operation, error) {
		l := rate.NewLimiter(rate.Limit(perSecond), rateBurst)
		return func(uint64) bool { return l.Allow() }, nil
	}
}

// fails says whether a call fails, of those that a goroutine makes.
type fails func(i uint64) bool

func never(uint64) bool { return false }

func tenth(i uint64) bool { return i%10 == 0 }

var errCall = errors.New("failed")

func startBreaker(c breaker.Config, fails fails) func() (operation, error) {
	return func() (operation, error) {
		b, err := breaker.New(c)
		if err != nil {
			return nil, err
		}
		return func(i uint64) bool {
			p, err := b.Allow()
			if err != nil {
				return false
			}
			r := breaker.Success
			if fails(i) {
				r = breaker.Failure
			}
			p.Record(r)
			return true
		}, nil
	}
}

func countWindow(b circuitbreaker.Builder[any]) circuitbreaker.Builder[any] {
	return b.WithFailureThresholdRatio(50, 100)
}

func timeWindow(b circuitbreaker.Builder[any]) circuitbreaker.Builder[any] {
	return b.WithFailureRateThreshold(0.5, 20, 10*time.Second)
}

func startFailsafe(window func(circuitbreaker.Builder[any]) circuitbreaker.Builder[any], fails fails) func() (operation, error) {
	return func() (operation, error) {
		b := window(circuitbreaker.NewBuilder[any]()).Build()
		return func(i uint64) bool {
			if !b.TryAcquirePermit() {
				return false
			}
			if fails(i) {
				b.RecordFailure()
			} else {
				b.RecordSuccess()
			}
			return true
		}, nil
	}
}

func startGobreaker(fails fails) func() (operation, error) {
	return func() (operation, error) {
		b := gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
			Interval: 10 * time.Second,
			ReadyToTrip: func(c gobreaker.Counts) bool {
				return c.Requests >= 20 && 2*c.TotalFailures >= c.Requests
			},
		})
		return func(i uint64) bool {
			done, err := b.Allow()
			if err != nil {
				return false
			}
			if fails(i) {
				done(errCall)
			} else {
				done(nil)
			}
			return true
		}, nil
	}
}
