package limiter_test

import (
	"context"
	"fmt"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

// A call takes a permit, and says how it ended. The deferred Release is for panics and
// early returns: the first one counts.
func ExampleLimiter() {
	l, err := limiter.New(limiter.Config{})
	if err != nil {
		fmt.Println(err)
		return
	}
	call := func(ctx context.Context, do func(context.Context) error) error {
		p, err := l.Acquire(ctx)
		if err != nil {
			return err
		}
		defer p.Release(limiter.Ignore)
		if err := do(ctx); err != nil {
			p.Release(limiter.Drop)
			return err
		}
		p.Release(limiter.Success)
		return nil
	}
	fmt.Println(call(context.Background(), func(context.Context) error { return nil }))
	s := l.Stat()
	fmt.Println("limit", s.Limit, "in flight", s.InFlight, "successes", s.Success)
	// Output:
	// <nil>
	// limit 10 in flight 0 successes 1
}

func ExampleLimiter_TryAcquire() {
	l, err := limiter.New(limiter.Config{Algorithm: limiter.Fixed, Max: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, ok := l.TryAcquire()
	fmt.Println(ok)
	_, ok = l.TryAcquire()
	fmt.Println(ok)
	p.Release(limiter.Success)
	p.Release(limiter.Success) // does nothing
	_, ok = l.TryAcquire()
	fmt.Println(ok)
	// Output:
	// true
	// false
	// true
}

// A scheduler closes a class of work while there is no permit for it.
func ExampleLimiter_Ready() {
	open := func(yes bool) { fmt.Println("class open:", yes) }
	l, err := limiter.New(limiter.Config{
		Algorithm: limiter.Fixed, Max: 1,
		OnReady: func() { open(true) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	p, _ := l.TryAcquire()
	if _, ok := l.TryAcquire(); !ok {
		open(false)
		if l.Ready() { // a permit was given back in between
			open(true)
		}
	}
	p.Release(limiter.Success)
	// Output:
	// class open: false
	// class open: true
}

// One burst of drops halves the limit once.
func ExampleConfig_onChange() {
	l, err := limiter.New(limiter.Config{
		Algorithm: limiter.AIMD,
		OnChange:  func(c limiter.Change) { fmt.Println(c.Old, "to", c.New, c.Why) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	now := time.Now()
	a, _ := l.TryAcquireAt(now)
	b, _ := l.TryAcquireAt(now)
	now = now.Add(time.Second)
	a.ReleaseAt(now, limiter.Drop)
	b.ReleaseAt(now, limiter.Drop)
	// Output: 10 to 5 dropped
}

func ExampleNewAIMD() {
	l, err := limiter.NewAIMD(limiter.AIMDConfig{Initial: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	if l.Acquire() {
		l.Release(false) // it failed: from 4 to 2
	}
	fmt.Println(l.Acquire(), l.Acquire(), l.Acquire())
	// Output: true true false
}
