package redisbucket_test

import (
	"testing"
	"time"

	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

// A key with more tokens than can be asked for, fetched in the background from a Redis that
// costs little.
func benchLimiter(b *testing.B) *redisbucket.Limiter {
	b.Helper()
	f := newFake()
	client := f.client()
	l, err := redisbucket.New(client, redisbucket.Config{Rate: limiter.Rate{Events: 1e9, Per: time.Second, Burst: 1e8}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		l.Close()
		_ = client.Close()
		f.sever()
	})
	if err := l.Wait(b.Context(), "hot"); err != nil {
		b.Fatal(err)
	}
	return l
}

func BenchmarkAllow(b *testing.B) {
	l := benchLimiter(b)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := l.Allow(b.Context(), "hot"); err != nil {
				b.Error(err)
			}
		}
	})
}

func BenchmarkBucketAllow(b *testing.B) {
	l := benchLimiter(b)
	hot, err := l.Bucket("hot", limiter.Rate{})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			hot.Allow()
		}
	})
}

// Most of what is asked is refused, without a round trip.
func BenchmarkRefused(b *testing.B) {
	l := benchLimiter(b)
	cold, err := l.Bucket("cold", limiter.Rate{Events: 1, Per: time.Hour, Burst: 1})
	if err != nil {
		b.Fatal(err)
	}
	if err := cold.Wait(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			cold.Allow()
		}
	})
}
