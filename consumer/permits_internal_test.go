package consumer

import (
	"testing"
	"time"

	"github.com/spillwaymq/spillway/breaker"
	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/tenants"
)

// guardedBy returns the state of a downstream d without a server.
func guardedBy(tb testing.TB, d Downstream) *downstreamState {
	tb.Helper()
	queues, err := tenants.NewQueues[*delivery](tenants.Config{})
	if err != nil {
		tb.Fatal(err)
	}
	c := &Consumer{queues: queues}
	c.live.Store(&live{Workers: 64, Downstreams: map[string]Downstream{"billing": d}})
	ds, err := c.newDownstreams()
	if err != nil {
		tb.Fatal(err)
	}
	return ds[0]
}

// What the guards of a downstream add to each message.
func BenchmarkPermits(b *testing.B) {
	for name, d := range map[string]Downstream{
		"none":              {Limit: Limit{Algorithm: limiter.None}, Breaker: Breaker{Disabled: true}},
		"limit and breaker": Downstream{}.WithDefaults(64),
	} {
		b.Run(name, func(b *testing.B) {
			s := guardedBy(b, d)
			now := time.Now()
			b.ReportAllocs()
			for b.Loop() {
				p, ok := s.acquire(now)
				if !ok {
					b.Fatal("refused")
				}
				now = now.Add(time.Microsecond)
				s.release(p, now, limiter.Success, breaker.Success)
			}
		})
	}
}

func TestPermitsAllocateNothing(t *testing.T) {
	s := guardedBy(t, Downstream{}.WithDefaults(64))
	now := time.Now()
	if n := testing.AllocsPerRun(1000, func() {
		p, _ := s.acquire(now)
		now = now.Add(time.Microsecond)
		s.release(p, now, limiter.Success, breaker.Success)
	}); n > 0.01 { // pools may be emptied meanwhile
		t.Errorf("%v allocations for a run", n)
	}
}
