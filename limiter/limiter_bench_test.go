package limiter_test

import (
	"testing"
	"time"

	"github.com/spillwaymq/spillway/limiter"
)

func BenchmarkAcquireRelease(b *testing.B) {
	for _, c := range []limiter.Config{
		{Algorithm: limiter.Adaptive, Min: 64}, {Algorithm: limiter.Fixed, Max: 64}, {Algorithm: limiter.AIMD, Min: 64},
		{Algorithm: limiter.Vegas, Min: 64}, {Algorithm: limiter.Gradient, Min: 64},
		{Algorithm: limiter.SLO, Min: 64, Target: time.Second}, {Algorithm: limiter.None},
	} {
		b.Run(string(c.Algorithm), func(b *testing.B) {
			l := newLimiter(b, c)
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					if p, ok := l.TryAcquire(); ok {
						p.Release(limiter.Success)
					}
				}
			})
		})
	}
}

func BenchmarkRefused(b *testing.B) {
	l := fixed(b, 1)
	mustTry(b, l)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			l.TryAcquire()
		}
	})
}
