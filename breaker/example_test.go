package breaker_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

func ExampleBreaker_Do() {
	b, err := breaker.New(breaker.Config{FailureRatio: 0.5, MinCalls: 2, Open: 5 * time.Second})
	if err != nil {
		fmt.Println(err)
		return
	}
	refused := errors.New("connection refused")
	for range 3 {
		err := b.Do(context.Background(), func(context.Context) error { return refused })
		if open, ok := errors.AsType[*breaker.OpenError](err); ok {
			fmt.Println("not called, worth another try later:", time.Until(open.Until) > 0)
			continue
		}
		fmt.Println(err)
	}
	// Output:
	// connection refused
	// connection refused
	// not called, worth another try later: true
}

// For calls that begin and end in different places. Time is an argument, so that this
// takes none.
func ExampleBreaker() {
	b, err := breaker.New(breaker.Config{
		Calls: 10, MinCalls: 2, Probes: 1,
		OnStateChange: func(t breaker.Transition) { fmt.Println(t.From, "to", t.To, "because of", t.Why) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	for range 2 {
		p, err := b.AllowAt(now)
		if err != nil {
			fmt.Println(err)
			return
		}
		p.RecordAt(now, breaker.Failure)
	}
	ok, until := b.Ready(now)
	fmt.Println("ready:", ok)
	p, err := b.AllowAt(until) // the probe
	if err != nil {
		fmt.Println(err)
		return
	}
	p.RecordAt(until, breaker.Success)
	// Output:
	// closed to open because of failures
	// ready: false
	// open to half_open because of open_ended
	// half_open to closed because of probes_succeeded
}

// What a dashboard shows. A counted window needs no clock.
func ExampleBreaker_Snapshot() {
	b, err := breaker.New(breaker.Config{Calls: 100, FailureRatio: 0.5, MinCalls: 20})
	if err != nil {
		fmt.Println(err)
		return
	}
	for i := range 4 {
		p, err := b.Allow()
		if err != nil {
			fmt.Println(err)
			return
		}
		if i == 0 {
			p.Record(breaker.Failure)
			continue
		}
		p.Record(breaker.Success)
	}
	s := b.Snapshot()
	fmt.Printf("%v: %d failures of %d, %.0f %%\n", s.State, s.Failures, s.Calls, 100*s.FailureRatio)
	b.Trip()
	s = b.Snapshot()
	fmt.Println(s.State, "and admits again later:", s.Until.After(s.Since))
	// Output:
	// closed: 1 failures of 4, 25 %
	// open and admits again later: true
}

// Answers that only say "later" are no failures.
func ExampleConfig_classify() {
	busy := errors.New("429 Too Many Requests")
	b, err := breaker.New(breaker.Config{MinCalls: 1, Classify: func(err error) breaker.Result {
		if errors.Is(err, busy) {
			return breaker.Ignored
		}
		return breaker.Failure
	}})
	if err != nil {
		fmt.Println(err)
		return
	}
	_ = b.Do(context.Background(), func(context.Context) error { return busy })
	fmt.Println(b.State(), b.Snapshot().Calls)
	// Output: closed 0
}
