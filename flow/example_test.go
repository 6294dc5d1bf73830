package flow_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/flow"
)

// A bounded queue and workers: Submit blocks while the queue is full, so whoever produces
// goes at the pace of the workers.
func ExamplePool() {
	p, err := flow.NewPool(flow.PoolConfig{Workers: 4, Queue: 8})
	if err != nil {
		fmt.Println(err)
		return
	}
	var sum atomic.Int64
	for i := range 100 {
		if err := p.Submit(func(context.Context) { sum.Add(int64(i)) }); err != nil {
			fmt.Println(err)
		}
	}
	if err := p.Close(context.Background()); err != nil { // what is queued finishes
		fmt.Println(err)
	}
	fmt.Println(sum.Load(), p.Stats().Executed)
	// Output: 4950 100
}

// One worker is busy and the queue is full. TrySubmit says so, and SubmitCtx waits as long
// as its context lasts.
func ExamplePool_SubmitCtx() {
	p, err := flow.NewPool(flow.PoolConfig{Workers: 1, Queue: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	busy, free := make(chan struct{}), make(chan struct{})
	_ = p.Submit(func(context.Context) { close(busy); <-free })
	<-busy
	job := func(context.Context) {}
	fmt.Println("room:", p.TrySubmit(job))
	fmt.Println("full:", p.TrySubmit(job))

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	fmt.Println("waited:", p.SubmitCtx(ctx, job))

	close(free)
	_ = p.Close(context.Background())
	s := p.Stats()
	fmt.Println(s.Submitted, "=", s.Accepted, "accepted +", s.Rejected, "rejected +", s.Cancelled, "cancelled")
	// Output:
	// room: true
	// full: false
	// waited: context deadline exceeded
	// 4 = 2 accepted + 1 rejected + 1 cancelled
}

// Close waits for what is queued and running, up to a deadline. Then it drops the queue,
// and tells the jobs that run by their context.
func ExamplePool_Close() {
	p, err := flow.NewPool(flow.PoolConfig{Workers: 1, Queue: 4})
	if err != nil {
		fmt.Println(err)
		return
	}
	busy := make(chan struct{})
	_ = p.Submit(func(ctx context.Context) {
		close(busy)
		<-ctx.Done() // it would run for ever
	})
	<-busy
	_ = p.Submit(func(context.Context) { fmt.Println("never printed") })

	ctx, cancel := context.WithTimeout(context.Background(), time.Millisecond)
	defer cancel()
	err = p.Close(ctx)
	fmt.Println("in time:", !errors.Is(err, context.DeadlineExceeded))
	fmt.Println(p.Submit(func(context.Context) {}))

	_ = p.Close(context.Background()) // the job has seen the end of its context
	fmt.Println("dropped:", p.Stats().Dropped)
	// Output:
	// in time: false
	// flow: closed
	// dropped: 1
}

// Above 24 jobs waiting the pool sheds, until fewer than 12 wait: nobody waits long, and
// it does not change its mind with every job.
func ExamplePool_shedding() {
	p, err := flow.NewPool(flow.PoolConfig{
		Workers: 1, Queue: 32, ShedAbove: 24, ResumeBelow: 12,
		OnShed: func(shedding bool) { fmt.Println("shedding:", shedding) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	busy, free := make(chan struct{}), make(chan struct{})
	_ = p.Submit(func(context.Context) { close(busy); <-free })
	<-busy
	accepted := 0
	for range 100 {
		if err := p.Submit(func(context.Context) {}); !errors.Is(err, flow.ErrShed) {
			accepted++
		}
	}
	fmt.Println("accepted:", accepted)
	close(free)
	_ = p.Close(context.Background())
	// Output:
	// shedding: true
	// accepted: 25
	// shedding: false
}

// A queue of 32 sheds above 24 and takes again below 12.
func ExampleWatermark() {
	w, err := flow.NewWatermark(flow.WatermarkConfig{
		OnAbove:  24,
		OffBelow: 12,
		OnChange: func(on bool) { fmt.Println("shedding:", on) },
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	queue, accepted := 0, 0
	for range 32 { // they come
		if !w.Update(queue) {
			queue++
			accepted++
		}
	}
	fmt.Println("accepted", accepted)
	for queue > 0 { // they go
		queue--
		w.Update(queue)
	}
	// Output:
	// shedding: true
	// accepted 25
	// shedding: false
}

// Batch work is at its limit, and critical work does not notice.
func ExampleBulkhead() {
	b, err := flow.NewBulkhead(flow.BulkheadConfig{
		Classes: map[string]int{"critical": 16, "normal": 8, "batch": 2},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	free := make(chan struct{})
	for i := range 3 {
		fmt.Println("batch", i, b.TrySubmit("batch", func(context.Context) { <-free }))
	}
	err = b.Do(context.Background(), "critical", func(context.Context) error {
		fmt.Println("critical runs")
		return nil
	})
	if err != nil {
		fmt.Println(err)
	}
	close(free)
	_ = b.Close(context.Background())
	for class, s := range b.Stats() {
		fmt.Println(class, s.Executed, "executed,", s.Rejected, "rejected")
	}
	// Output:
	// batch 0 true
	// batch 1 true
	// batch 2 false
	// critical runs
	// batch 2 executed, 1 rejected
	// critical 1 executed, 0 rejected
	// normal 0 executed, 0 rejected
}

func ExampleSendWithTimeout() {
	ctx := context.Background()
	events := make(chan string, 1)
	fmt.Println(flow.SendWithTimeout(ctx, events, "first", time.Second))
	fmt.Println(flow.SendWithTimeout(ctx, events, "second", time.Millisecond)) // nobody receives
	// Output:
	// <nil>
	// flow: nobody received in time
}

// A sensor does not wait for a slow reader: the last three readings are kept.
func ExampleLatestN() {
	readings, err := flow.NewLatestN[float64](3)
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, v := range []float64{20.1, 20.4, 20.9, 21.3, 21.2} {
		readings.Push(v)
	}
	fmt.Println(readings.Snapshot(), "dropped", readings.Dropped())
	v, _ := readings.TryNext()
	fmt.Println(v, "then", readings.Snapshot())
	// Output:
	// [20.9 21.3 21.2] dropped 2
	// 20.9 then [21.3 21.2]
}

// Four workers in the middle, order kept, at most 1 + 2 + 4 + 2 + 1 values held.
func ExamplePipeline() {
	p := flow.NewPipeline()
	words := flow.Source(p, flow.Stage{Buffer: 2}, func(_ context.Context, emit func(string) bool) error {
		for _, w := range []string{"back", "pressure", "all", "the", "way"} {
			if !emit(w) {
				break
			}
		}
		return nil
	})
	lengths := flow.MapOrdered(words, flow.Stage{Workers: 4, Buffer: 2}, func(_ context.Context, w string) (int, error) {
		return len(w), nil
	})
	flow.Sink(lengths, flow.Stage{}, func(_ context.Context, n int) error {
		fmt.Println(n)
		return nil
	})
	if err := p.Run(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// 4
	// 8
	// 3
	// 3
	// 3
}

// The first error ends all stages, and Run returns it when they have ended.
func ExamplePipeline_error() {
	p := flow.NewPipeline()
	endless := flow.Source(p, flow.Stage{}, func(_ context.Context, emit func(int) bool) error {
		for i := 0; emit(i); i++ {
		}
		return nil
	})
	checked := flow.Map(endless, flow.Stage{Name: "check"}, func(_ context.Context, i int) (int, error) {
		if i == 3 {
			return 0, errors.New("3 is too many")
		}
		return i, nil
	})
	flow.Sink(checked, flow.Stage{}, func(context.Context, int) error { return nil })
	fmt.Println(p.Run(context.Background()))
	// Output: flow: stage "check": 3 is too many
}

// Replica 0 hangs; after a millisecond replica 1 is asked too, and its answer wins.
func ExampleHedge() {
	h, err := flow.NewHedge[string](flow.HedgeConfig{Replicas: 2, Delay: time.Millisecond})
	if err != nil {
		fmt.Println(err)
		return
	}
	v, err := h.Do(context.Background(), func(ctx context.Context, replica int) (string, error) {
		if replica == 0 {
			<-ctx.Done() // until another wins
			return "", ctx.Err()
		}
		return fmt.Sprint("from replica ", replica), nil
	})
	fmt.Println(v, err)
	fmt.Println(h.Stats().Wins, "won by a hedge")
	// Output:
	// from replica 1 <nil>
	// 1 won by a hedge
}
