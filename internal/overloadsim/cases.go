package overloadsim

import "time"

// A Case is a scenario with the span in which it is judged, and the limit that is best
// there: the workers of the downstream, divided among the processes.
type Case struct {
	Scenario
	About    string
	From, To time.Duration
	Best     int
}

// Cases are the scenarios that limiters are compared in. The first three are the ones with
// published figures.
func Cases() []Case {
	const m, s, ms = time.Minute, time.Second, time.Millisecond
	apart := func(p int) time.Duration { return time.Duration(p) * 1250 * ms }
	mixed := Mixed(Erlang(4, 20*ms), Erlang(4, 320*ms), 0.1)
	cases := []Case{
		{Scenario{Name: "plain"}, "ten times the load", m, 2 * m, 12},
		{Scenario{Name: "thrash", Thrash: 0.1}, "and 10 % slower per 12 that wait", m, 2 * m, 12},
		{Scenario{Name: "slow", Slow: Steps(1, Change{At: m, Value: 2})}, "twice as slow from the second minute on", m, 2 * m, 12},
		{Scenario{Name: "soak", Load: Always(720), Duration: 30 * m}, "three times the load, minute 30", 29 * m, 30 * m, 12},
		{Scenario{Name: "cold"}, "from the initial limit, seconds 10 to 20", 10 * s, 20 * s, 12},
		{Scenario{Name: "spike", Load: Steps(60, Change{At: m, Value: 2400})}, "a quarter of the load, then ten times it", m, 80 * s, 12},
		{Scenario{Name: "grown", Workers: Steps(12, Change{At: m, Value: 24})}, "12, then 24 workers, from 10 s after", 70 * s, 2 * m, 24},
		{Scenario{Name: "shrunk", Workers: Steps(24, Change{At: m, Value: 12})}, "24, then 12 workers, from 10 s after", 70 * s, 2 * m, 12},
		{Scenario{Name: "bimodal", Service: mixed}, "nine calls of 20 ms, one of 320 ms", m, 2 * m, 12},
		{Scenario{Name: "dead", Dead: Between(m, 80*s), Timeout: s}, "20 s of timeouts, from 10 s after", 90 * s, 2 * m, 12},
		{Scenario{Name: "hiccup", Slow: Steps(1, Change{At: m, Value: 10}, Change{At: 80 * s, Value: 1})}, "20 s ten times as slow, from 10 s after", 90 * s, 2 * m, 12},
		{Scenario{Name: "refusing", RefuseAbove: 12}, "the downstream refuses the 13th call", m, 2 * m, 12},
		{Scenario{Name: "shared", Processes: 4, Workers: Always(48)}, "four processes, clocks in step", m, 2 * m, 12},
		{Scenario{Name: "apart", Processes: 4, Workers: Always(48), Skew: apart}, "four processes, clocks 1.25 s apart", m, 2 * m, 12},
		{Scenario{Name: "enough", Load: Always(192)}, "load for 80 % of the workers", m, 2 * m, 12},
	}
	for i := range cases {
		c := &cases[i]
		c.Duration = max(c.Duration, c.To)
		c.Seed = 1
	}
	return cases
}
