package tenants

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"
)

// backlogged returns queues with a few items in each of n tenants and each of the classes.
func backlogged(b *testing.B, n, classes int) (*Queues[int], []string, []string) {
	q, err := NewQueues[int](Config{Messages: 1 << 20})
	if err != nil {
		b.Fatal(err)
	}
	names, kinds := make([]string, n), make([]string, classes)
	for i := range names {
		names[i] = "tenant-" + strconv.Itoa(i)
	}
	for i := range kinds {
		kinds[i] = "class-" + strconv.Itoa(i)
	}
	for range 3 {
		for _, name := range names {
			for _, kind := range kinds {
				if err := q.PushAt(start, name, kind, 0, 100); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	return q, names, kinds
}

// BenchmarkQueues is one Push, Next and Done with every tenant backlogged. With "given"
// the time is an argument, with "clock" it is read three times.
func BenchmarkQueues(b *testing.B) {
	for _, classes := range []int{1, 4} {
		for _, n := range []int{10, 1000, 10000} {
			b.Run(fmt.Sprintf("given/classes=%d/tenants=%d", classes, n), func(b *testing.B) {
				q, _, _ := backlogged(b, n, classes)
				now := start
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					j, _ := q.TryNext(now)
					now = now.Add(time.Duration(5+i&7) * time.Microsecond)
					q.DoneAt(now, j)
					if err := q.PushAt(now, j.Tenant, j.Class, 0, 100); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
	for _, n := range []int{10, 10000} {
		b.Run(fmt.Sprintf("clock/tenants=%d", n), func(b *testing.B) {
			q, _, _ := backlogged(b, n, 1)
			b.ReportAllocs()
			for b.Loop() {
				j, _ := q.Next(context.Background())
				q.Done(j)
				if err := q.Push(j.Tenant, j.Class, 0, 100); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkQueuesParallel is the same by all processors at once.
func BenchmarkQueuesParallel(b *testing.B) {
	for _, n := range []int{10, 10000} {
		b.Run(fmt.Sprintf("tenants=%d", n), func(b *testing.B) {
			q, _, _ := backlogged(b, n, 1)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					j, _ := q.Next(context.Background())
					q.Done(j)
					if err := q.Push(j.Tenant, j.Class, 0, 100); err != nil {
						b.Error(err)
						return
					}
				}
			})
		})
	}
}

// BenchmarkQueuesHandOff is one pusher and waiting workers: every item may wake one.
func BenchmarkQueuesHandOff(b *testing.B) {
	for _, workers := range []int{1, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			q, err := NewQueues[int](Config{Default: Policy{Queue: 4096}})
			if err != nil {
				b.Fatal(err)
			}
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for {
						j, err := q.Next(context.Background())
						if err != nil {
							return
						}
						q.Done(j)
					}
				})
			}
			b.ReportAllocs()
			for b.Loop() {
				for q.Push("t", "", 0, 1) != nil {
				}
			}
			q.Close()
			wg.Wait()
		})
	}
}

// BenchmarkPool is one job through the pool, beside a plain channel and workers.
func BenchmarkPool(b *testing.B) {
	b.Run("channel", func(b *testing.B) {
		jobs := make(chan func(context.Context), 16)
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for job := range jobs {
					job(context.Background())
				}
			})
		}
		b.ReportAllocs()
		for b.Loop() {
			jobs <- func(context.Context) {}
		}
		close(jobs)
		wg.Wait()
	})
	for _, n := range []int{1, 100} {
		b.Run(fmt.Sprintf("pool/tenants=%d", n), func(b *testing.B) {
			p, err := NewPool(PoolConfig{})
			if err != nil {
				b.Fatal(err)
			}
			names := make([]string, n)
			for i := range names {
				names[i] = strconv.Itoa(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := p.Submit(context.Background(), names[i%n], func(context.Context) {}); err != nil {
					b.Fatal(err)
				}
			}
			if err := p.Close(context.Background()); err != nil {
				b.Fatal(err)
			}
		})
	}
}
