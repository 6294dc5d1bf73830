package load_test

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/spillwaymq/spillway/internal/load"
)

// A target that stalls once is measured by an open and by a closed loop.
func Example() {
	runner, err := load.New(load.Config{
		Stages: []load.Stage{{From: 1000, To: 1000, For: time.Second}},
		Seed:   1,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	target := func() load.Func { // serves nobody from 300 to 600 ms
		begin := time.Now()
		return func(context.Context, load.Request) error {
			if in := time.Since(begin); in > 300*time.Millisecond {
				time.Sleep(max(0, 600*time.Millisecond-in))
			}
			return nil
		}
	}
	open := runner.Run(context.Background(), target())
	closed := runner.RunClosed(context.Background(), target(), 1)
	const slow = 50 * time.Millisecond
	fmt.Println("of 1000 users more than 100 waited:", open.Latency.Above(slow) > 100)
	fmt.Println("the closed loop saw:", closed.Latency.Above(slow))
	fmt.Println("nothing was skipped:", open.Sent+open.Dropped == open.Scheduled)
	// Output:
	// of 1000 users more than 100 waited: true
	// the closed loop saw: 1
	// nothing was skipped: true
}

func ExampleSchedule() {
	stages := []load.Stage{{From: 2, To: 2, For: time.Second}, {From: 0, To: 8, For: time.Second}}
	schedule, err := load.NewSchedule(stages, load.Constant, 1, load.Tenants{})
	if err != nil {
		fmt.Println(err)
		return
	}
	for a := range schedule.All() {
		fmt.Println(a.Stage, a.At.Round(time.Millisecond))
	}
	// Output:
	// 0 0s
	// 0 500ms
	// 1 1s
	// 1 1.5s
	// 1 1.707s
	// 1 1.866s
}

func ExampleHTTP() {
	target, err := load.NewHTTP(load.HTTPConfig{URL: "http://127.0.0.1:8080/{tenant}", Body: []byte("{}")})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer target.Close()
	runner, err := load.New(load.Config{
		Stages:   []load.Stage{{From: 100, To: 100, For: time.Minute}, {From: 1000, To: 1000, For: 10 * time.Second}}, // a spike
		Arrivals: load.Poisson,
		Tenants:  load.ZipfTenants("tenant-", 100, 1.1),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := runner.Run(context.Background(), target).WriteText(os.Stdout); err != nil {
		fmt.Println(err)
	}
}
