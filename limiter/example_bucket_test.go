package limiter_test

import (
	"context"
	"fmt"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// Ten a second, two at once. Time is an argument, so that this takes none.
func ExampleTokenBucket() {
	b, err := limiter.NewTokenBucket(limiter.Rate{Events: 10, Per: time.Second, Burst: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	for i := range 3 {
		fmt.Println("event", i, b.AllowN(now, 1))
	}
	at, _ := b.Next(now, 1)
	fmt.Println("the next after", at.Sub(now))
	fmt.Println("event 3", b.AllowN(at, 1))
	// Output:
	// event 0 true
	// event 1 true
	// event 2 false
	// the next after 100ms
	// event 3 true
}

// Wait delays what Allow would drop, in order, and gives up when its context does.
func ExampleTokenBucket_Wait() {
	b, err := limiter.NewTokenBucket(limiter.Rate{Events: 1000, Per: time.Second, Burst: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	for i := range 3 {
		if err := b.Wait(ctx); err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println("event", i)
	}
	// Output:
	// event 0
	// event 1
	// event 2
}

func ExampleParseRate() {
	r, err := limiter.ParseRate("5/m")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(r.Events, "in", r.Per)
	_, err = limiter.ParseRate("-5/m")
	fmt.Println(err)
	// Output:
	// 5 in 1m0s
	// limiter: rate "-5/m": Rate.Events is -5: must be above 0 and finite
}
