package redisbucket_test

import (
	"context"
	"fmt"
	"time"

	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

// Each key may have 100 events a second, in bursts of 20, over all processes that run this.
// While Redis is away each process admits its share.
func ExampleLimiter() {
	client, err := redisbucket.Dial("redis://127.0.0.1:6379/0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	l, err := redisbucket.New(client, redisbucket.Config{
		Rate:    limiter.Rate{Events: 100, Per: time.Second, Burst: 20},
		OnError: redisbucket.Local,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	ctx := context.Background()
	ok, err := l.Allow(ctx, "acme")
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("admitted:", ok)
	if err := l.Wait(ctx, "acme"); err == nil {
		fmt.Println("admitted after a while")
	}
}

// A scheduler asks without waiting, and comes again when it may be worth it.
func ExampleBucket() {
	client, err := redisbucket.Dial("redis://127.0.0.1:6379/0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	l, err := redisbucket.New(client, redisbucket.Config{Rate: limiter.Rate{Events: 1, Per: time.Second}})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer l.Close()
	billing, err := l.Bucket("billing", limiter.Rate{Events: 500, Per: time.Second, Burst: 100})
	if err != nil {
		fmt.Println(err)
		return
	}
	for sent := 0; sent < 10; {
		now := time.Now()
		if billing.AllowN(now, 1) {
			sent++
			continue
		}
		if at, ok := billing.Next(now, 1); ok {
			time.Sleep(time.Until(at)) // a scheduler would do something else
		}
	}
	fmt.Println("sent")
}

// A mistake names field, value and bound before anything starts.
func ExampleConfig() {
	client, err := redisbucket.Dial("redis://127.0.0.1:6379/0")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, err = redisbucket.New(client, redisbucket.Config{
		Rate:  limiter.Rate{Events: 100, Per: time.Second},
		Lease: time.Minute,
	})
	fmt.Println(err)
	// Output: redisbucket: New: Config.Lease is 1m0s: must be from 20ms to 10s
}

// The URL of a cluster, and one of a typing error, which does not show the password.
func ExampleDial() {
	client, err := redisbucket.Dial("redis://10.0.0.1:6379?addr=10.0.0.2:6379&addr=10.0.0.3:6379")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()
	_, err = redisbucket.Dial("redis://user:secret@host:port/0")
	fmt.Println(err)
	// Output: redisbucket: Dial: invalid port ":port" after host
}
