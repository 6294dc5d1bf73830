package tenants_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

// Two tenants share a worker. One came first with three items, and it is still the
// other's turn after one of them.
func ExampleQueues() {
	q, err := tenants.NewQueues[string](tenants.Config{
		Default: tenants.Policy{Queue: 3},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	for _, item := range []string{"a1", "a2", "a3", "a4"} {
		if err := q.PushAt(now, "acme", "mail", item, len(item)); err != nil {
			fmt.Println(item, err)
		}
	}
	if err := q.PushAt(now, "bolt", "mail", "b1", 2); err != nil {
		fmt.Println(err)
	}
	for j, ok := q.TryNext(now); ok; j, ok = q.TryNext(now) {
		fmt.Println(j.Tenant, j.Value)
		now = now.Add(time.Millisecond)
		q.DoneAt(now, j)
	}
	// Output:
	// a4 tenants: the queue is shedding
	// acme a1
	// bolt b1
	// acme a2
	// acme a3
}

func ExampleQueues_Requeue() {
	q, err := tenants.NewQueues[string](tenants.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	_ = q.PushAt(now, "acme", "", "first", 0)
	_ = q.PushAt(now, "acme", "", "second", 0)
	j, _ := q.TryNext(now)
	q.RequeueAt(now, j, now.Add(time.Second)) // not yet

	_, ok := q.TryNext(now)
	fmt.Println("at once:", ok)
	j, _ = q.TryNext(now.Add(time.Second))
	fmt.Println("a second later:", j.Value)
	// Output:
	// at once: false
	// a second later: first
}

func ExamplePool() {
	p, err := tenants.NewPool(tenants.PoolConfig{Workers: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	ctx := context.Background()
	var sum atomic.Int64
	for i := range 10 {
		if err := p.Submit(ctx, "acme", func(context.Context) { sum.Add(int64(i)) }); err != nil {
			fmt.Println(err)
		}
	}
	if err := p.Close(ctx); err != nil { // waits for what is queued
		fmt.Println(err)
	}
	fmt.Println(sum.Load())
	// Output: 45
}

// Tenants that flood leave room for those that come later.
func ExampleSoft() {
	q, err := tenants.NewQueues[int](tenants.Config{
		Messages: 1000,
		Default:  tenants.Policy{Queue: 200},
		Soft:     tenants.Soft{Delay: 200 * time.Millisecond, Workers: 4, Messages: 100},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, flooder := range []string{"acme", "bolt", "corp"} {
		n := 0
		for q.Push(flooder, "mail", n, 1) == nil {
			n++
		}
		fmt.Println(flooder, "has", n, "waiting")
	}
	fmt.Println("quiet:", q.Push("quiet", "mail", 0, 1))
	// Output:
	// acme has 67 waiting
	// bolt has 22 waiting
	// corp has 8 waiting
	// quiet: <nil>
}
