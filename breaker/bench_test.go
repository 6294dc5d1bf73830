package breaker_test

import (
	"testing"
	"time"

	"github.com/spillwaymq/spillway/breaker"
)

var windows = []struct {
	name string
	c    breaker.Config
}{
	{"count", breaker.Config{Calls: 100}},
	{"count and slow calls", breaker.Config{Calls: 100, SlowCall: time.Second}},
	{"time", breaker.Config{Window: 10 * time.Second}},
	{"time and slow calls", breaker.Config{Window: 10 * time.Second, SlowCall: time.Second}},
}

func BenchmarkAllowAndRecord(bench *testing.B) {
	for _, w := range windows {
		bench.Run(w.name, func(bench *testing.B) {
			b := newBreaker(bench, w.c)
			bench.ReportAllocs()
			bench.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if p, err := b.Allow(); err == nil {
						p.Record(breaker.Success)
					}
				}
			})
		})
	}
}

func BenchmarkRefusal(bench *testing.B) {
	b := newBreaker(bench, breaker.Config{Open: time.Hour})
	b.Trip()
	bench.ReportAllocs()
	bench.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := b.Allow(); err == nil {
				bench.Error("admitted")
			}
		}
	})
}

func newBreaker(t testing.TB, c breaker.Config) *breaker.Breaker {
	t.Helper()
	b, err := breaker.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
