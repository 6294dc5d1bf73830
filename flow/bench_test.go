package flow

import (
	"context"
	"net/http"
	"net/http/httptest"
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

func BenchmarkSheddingPoolSubmit(b *testing.B) {
	p, err := NewPool(PoolConfig{Queue: 256, ShedAbove: 192, ResumeBelow: 96})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			p.TrySubmit(nothing)
		}
	})
	if err := p.Close(b.Context()); err != nil {
		b.Error(err)
	}
}

func BenchmarkBulkheadDo(b *testing.B) {
	h, err := NewBulkhead(BulkheadConfig{Classes: map[string]int{"critical": 16, "batch": 2}})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if err := h.Do(b.Context(), "critical", func(context.Context) error { return nil }); err != nil {
				b.Error(err)
			}
		}
	})
	if err := h.Close(b.Context()); err != nil {
		b.Error(err)
	}
}

func BenchmarkLatestNPush(b *testing.B) {
	l := newLatest(b, 1024)
	b.ReportAllocs()
	for b.Loop() {
		l.Push(1)
	}
}

// What Admission adds to a handler: the one allocation is the header's.
func BenchmarkAdmission(b *testing.B) {
	a, err := NewAdmission(AdmissionConfig{Limit: 50})
	if err != nil {
		b.Fatal(err)
	}
	h := a.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil)
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

func BenchmarkHedgeDo(b *testing.B) {
	h := newHedge(b, HedgeConfig{})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := h.Do(b.Context(), func(context.Context, int) (int, error) { return 1, nil }); err != nil {
			b.Error(err)
		}
	}
}

func BenchmarkPipeline(b *testing.B) {
	for _, ordered := range []bool{false, true} {
		name := map[bool]string{false: "Map", true: "MapOrdered"}[ordered]
		b.Run(name, func(b *testing.B) {
			p := NewPipeline()
			in := Source(p, Stage{Buffer: 64}, func(_ context.Context, emit func(int) bool) error {
				for b.Loop() {
					emit(1)
				}
				return nil
			})
			var out *Stream[int]
			if ordered {
				out = MapOrdered(in, Stage{Workers: 2, Buffer: 64}, same)
			} else {
				out = Map(in, Stage{Workers: 2, Buffer: 64}, same)
			}
			Sink(out, Stage{}, func(context.Context, int) error { return nil })
			b.ReportAllocs()
			if err := p.Run(b.Context()); err != nil {
				b.Error(err)
			}
		})
	}
}
