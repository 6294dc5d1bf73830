package flow

import (
	"context"
	"runtime"
	"sync"
	"testing"
)

func nothing(context.Context) {}

func BenchmarkChannelSend(b *testing.B) {
	jobs := make(chan func(context.Context), 256)
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for job := range jobs {
				job(b.Context())
			}
		})
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			jobs <- nothing
		}
	})
	close(jobs)
	wg.Wait()
}

func BenchmarkPoolSubmit(b *testing.B) {
	p, err := NewPool(PoolConfig{Queue: 256})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := p.Submit(nothing); err != nil {
				b.Error(err)
			}
		}
	})
	if err := p.Close(b.Context()); err != nil {
		b.Error(err)
	}
}
