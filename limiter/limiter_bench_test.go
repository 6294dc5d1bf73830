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

func TestAPermitAllocatesNothing(t *testing.T) {
	for _, c := range append(learning, limiter.Config{Algorithm: limiter.Fixed, Max: 9}, limiter.Config{Algorithm: limiter.None}) {
		l := newLimiter(t, c)
		for _, o := range []limiter.Outcome{limiter.Success, limiter.Drop, limiter.Ignore} {
			if n := testing.AllocsPerRun(1000, func() {
				p, err := l.Acquire(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				p.Release(o)
			}); n != 0 {
				t.Errorf("%s, %d: %v allocations", l.Stat().Algorithm, o, n)
			}
		}
	}
}
