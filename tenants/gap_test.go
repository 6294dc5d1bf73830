package tenants

import (
	"fmt"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A gap is how far apart the service, per weight, of two tenants has been.
type gap struct{ now, low, high float64 }

func (g *gap) add(d float64) {
	g.now, g.low, g.high = d, min(g.low, d), max(g.high, d)
}

// drawBacklog makes s have a few tenants that are backlogged from now on, with costs that
// vary or do not. It returns, per tenant, the weight and the most a run takes per weight.
func drawBacklog(t *rapid.T, workers int, vary bool) (s *sim, weight, most map[string]float64) {
	weight, most = map[string]float64{}, map[string]float64{}
	s = newSim(t, workers, Config{PolicyFor: func(name string, p *Policy) { p.Weight = weight[name] }})
	kinds := 1
	if vary {
		kinds = 6
	}
	for i := range rapid.IntRange(2, 5).Draw(t, "tenants") {
		name := fmt.Sprint(i)
		weight[name] = rapid.SampledFrom([]float64{0.25, 1, 2, 7}).Draw(t, "weight")
		costs := rapid.SliceOfN(rapid.SampledFrom([]int{1, 3, 10, 100, 1000}), 1, kinds).Draw(t, "costs in ms")
		for _, c := range costs {
			most[name] = max(most[name], float64(time.Duration(c)*time.Millisecond)/weight[name])
		}
		turn := 0
		s.feed(name, "", func() time.Duration {
			turn++
			return time.Duration(costs[turn%len(costs)]) * time.Millisecond
		})
		s.feedMore(name, 2*workers)
	}
	return s, weight, most
}

// watch reports the gap of every two tenants to see, whenever a run has ended.
func (s *sim) watch(weight map[string]float64, see func(f, g string, d float64)) {
	s.seen = func(time.Time) {
		for f, wf := range weight {
			for g, wg := range weight {
				if f < g {
					see(f, g, float64(s.received(f))/wf-float64(s.received(g))/wg)
				}
			}
		}
	}
}

func TestServiceOfTwoBackloggedTenantsStaysTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.IntRange(1, 8).Draw(t, "workers")
		s, weight, most := drawBacklog(t, c, true)
		gaps := map[string]*gap{}
		s.watch(weight, func(f, g string, d float64) {
			if gaps[f+g] == nil {
				gaps[f+g] = &gap{}
			}
			gap, bound := gaps[f+g], most[f]+most[g]
			gap.add(d)
			if abs := math.Abs(d); abs > float64(c+1)*bound {
				t.Fatalf("since both are backlogged %s is %v ahead of %s, more than %v", f, time.Duration(d), g, time.Duration(float64(c+1)*bound))
			}
			if apart := gap.high - gap.low; apart > float64(max(2*c-1, c+1))*bound {
				t.Fatalf("between two moments %s and %s came %v apart, more than %d times %v", f, g, time.Duration(apart), 2*c-1, time.Duration(bound))
			}
		})
		s.runStarts(2000)
	})
}

func TestServiceOfTwoTenantsOfSteadyCostStaysTogetherAtAnyTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.IntRange(1, 8).Draw(t, "workers")
		s, weight, most := drawBacklog(t, c, false)
		s.runStarts(100 * c)
		for len(s.served) < len(weight) { // until all are measured
			s.run(time.Second)
		}
		gaps := map[string]*gap{}
		s.watch(weight, func(f, g string, d float64) {
			if gaps[f+g] == nil {
				gaps[f+g] = &gap{d, d, d}
			}
			gaps[f+g].add(d)
			bound := float64(c+1) * (most[f] + most[g])
			if apart := gaps[f+g].high - gaps[f+g].low; apart > bound {
				t.Fatalf("%s and %s came %v apart, more than %v", f, g, time.Duration(apart), time.Duration(bound))
			}
		})
		s.runStarts(2000)
	})
}

// runStarts simulates until n runs were started.
func (s *sim) runStarts(n int) {
	for n += len(s.trace); len(s.trace) < n; {
		s.run(10 * time.Millisecond)
	}
}
