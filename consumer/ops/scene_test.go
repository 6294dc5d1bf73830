package ops_test

import (
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// scene is a worker that is made up: tenants that publish, and downstreams that take what
// they can, second by second. It is to show the page what a worker could, not to be right
// about how one behaves.
type scene struct {
	mu     sync.Mutex // guards all below; the page's handlers and the test's clock meet here
	events consumer.Observer
	rnd    *rand.Rand
	second int // since the beginning
	now    time.Time
	state  consumer.Snapshot
	actors []*actor
	downs  []*downstream
	script func(s *scene, second int) // changes what happens
	asked  []string                   // changes of tenants, in words
	refuse error                      // what they are answered, if not nil
}

type actor struct {
	consumer.TenantState
	rate       float64 // messages a second
	downstream int
}

type downstream struct {
	consumer.DownstreamState
	service time.Duration // of a call
	failing bool
}

const (
	sceneWorkers = 64
	sceneLength  = 15 * 60
)

// newScene is the calm that the others are changes of.
func newScene(script func(s *scene, second int)) *scene {
	s := &scene{rnd: rand.New(rand.NewPCG(1, 2)), script: script}
	s.state = consumer.Snapshot{
		Stream: "JOBS", Durable: "worker", State: consumer.StateRunning, Workers: sceneWorkers,
		HeldMax: 4096, HeldBytesMax: 64 << 20, DeadLetters: map[consumer.Reason]uint64{consumer.ReasonPermanent: 3},
		Lanes: []consumer.LaneState{
			{Lane: consumer.LaneMain, Consumer: "worker"}, {Lane: consumer.LaneRetry, Consumer: "retry"}, {Lane: consumer.LaneSuspect, Consumer: "suspect"},
		},
	}
	s.downstream("billing", 22*time.Millisecond, 24)
	s.downstream("search", 9*time.Millisecond, 16)
	s.downstream("thumbnails", 60*time.Millisecond, 32)
	for i, name := range []string{"acme", "borealis", "calder", "dunmore", "evergreen", "foxglove", "granite", "harbor", "ironwood", "juniper", "kestrel", "larkspur"} {
		s.tenant(name, 60/float64(1+i)+4, i%3)
	}
	return s
}

func (s *scene) downstream(name string, service time.Duration, limit int) {
	s.downs = append(s.downs, &downstream{service: service, DownstreamState: consumer.DownstreamState{
		Downstream: name, Settled: map[consumer.Outcome]uint64{},
		Limit:   &consumer.LimitState{Algorithm: "adaptive", Limit: limit, Min: 1, Max: 64, From: limit, Why: "begun"},
		Breaker: &consumer.BreakerStatus{State: consumer.BreakerClosed, Calls: 412, Failures: 1},
	}})
}

func (s *scene) tenant(name string, rate float64, downstream int) {
	s.actors = append(s.actors, &actor{rate: rate, downstream: downstream, TenantState: consumer.TenantState{
		Tenant: name, Weight: 1, QueueMax: 256, QueueHigh: 192,
	}})
}

func (s *scene) actor(name string) *actor {
	return s.actors[slices.IndexFunc(s.actors, func(a *actor) bool { return a.Tenant == name })]
}

func (s *scene) Ready() error { return nil }

func (s *scene) Observe(o consumer.Observer) error {
	s.events = o
	return nil
}

func (s *scene) Snapshot() consumer.Snapshot {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.state
	c.Lanes = slices.Clone(c.Lanes)
	for _, d := range s.downs {
		c.Downstreams = append(c.Downstreams, d.copy())
	}
	for _, a := range s.actors {
		c.Tenants = append(c.Tenants, a.TenantState)
	}
	slices.SortFunc(c.Tenants, func(a, b consumer.TenantState) int { return cmpNames(a.Tenant, b.Tenant) })
	return c
}

func cmpNames(a, b string) int {
	if a < b {
		return -1
	}
	return 1
}

func (d *downstream) copy() consumer.DownstreamState {
	c := d.DownstreamState
	limit, breaker := *c.Limit, *c.Breaker
	c.Limit, c.Breaker = &limit, &breaker
	c.Settled = maps.Clone(c.Settled)
	return c
}

// play lets a quarter of an hour pass, up to now, or what is left of it.
func (s *scene) play(now time.Time) {
	for s.second < sceneLength {
		s.step(now.Add(time.Duration(s.second-sceneLength+1) * time.Second))
	}
}

// late begins a scene shortly before its end.
func (s *scene) late() *scene {
	s.script(s, 0)
	s.second = sceneLength - 10
	return s
}

// step lets a second pass.
func (s *scene) step(now time.Time) {
	s.mu.Lock()
	s.now, s.state.At = now, now
	if s.script != nil {
		s.script(s, s.second)
	}
	s.second++
	runs := s.work()
	tick, handled := s.events.Tick, s.events.Handled
	s.mu.Unlock()
	for i := range runs {
		handled(runs[i])
	}
	tick(now)
}

// work publishes, queues, runs and settles what there is in a second.
func (s *scene) work() (runs []consumer.Handled) {
	st := &s.state
	main := &st.Lanes[0]
	var back uint64
	st.InFlight, st.Held = 0, 0
	for i, d := range s.downs {
		var on []*actor
		for _, a := range s.actors {
			if a.downstream == i {
				on = append(on, a)
			}
		}
		d.InFlight, d.Queued = 0, 0
		runs = append(runs, s.serve(d, on, main, &back)...)
		st.InFlight += d.InFlight
		st.Held += d.InFlight + d.Queued
	}
	st.HeldBytes = int64(st.Held) * 900
	main.Batch, main.Credit = 64+s.rnd.IntN(40), max(0, 3400-st.Held)
	main.AckPending = uint64(st.Held)
	main.Pending = uint64(s.rnd.IntN(1 + len(s.actors)))
	s.overflowLane(back)
	st.Backlog = main.Pending + main.AckPending
	for _, a := range s.actors {
		st.Backlog += a.Overflow
	}
	return runs
}

// serve shares what a downstream takes in a second among its tenants.
func (s *scene) serve(d *downstream, on []*actor, main *consumer.LaneState, back *uint64) (runs []consumer.Handled) {
	room := int(float64(d.Limit.Limit) * float64(time.Second) / float64(d.service))
	if d.Breaker.State != consumer.BreakerClosed {
		room = 0
	}
	for _, a := range on {
		came := int(a.rate*(0.85+0.3*s.rnd.Float64()) + s.rnd.Float64())
		main.Pulled += uint64(came)
		a.Queued += came
	}
	slices.SortFunc(on, func(x, y *actor) int { return x.Queued - y.Queued })
	for i, a := range on { // what one does not need, the others get
		n := min(room/(len(on)-i), a.Queued)
		if a.Paused {
			n = 0
		}
		room -= n
		runs = append(runs, s.run(d, a, n)...)
	}
	for _, a := range on {
		s.settle(d, a, back)
		d.Queued += a.Queued
	}
	kept := 0 // of who is paused
	for _, a := range on {
		if a.Paused {
			kept += a.Queued
		}
	}
	d.InFlight = min(d.Limit.Limit, d.InFlight)
	d.Waiting = ""
	if d.Queued-kept > 40 && d.Breaker.State == consumer.BreakerClosed {
		d.InFlight, d.Waiting = d.Limit.Limit, consumer.WaitDownstreamLimit
	}
	if d.Breaker.State != consumer.BreakerClosed {
		d.InFlight, d.Waiting = 0, consumer.WaitDownstreamBreaker
	}
	return runs
}

// run has n messages of a handled.
func (s *scene) run(d *downstream, a *actor, n int) (runs []consumer.Handled) {
	wait := 1.5e6 * (1 + s.rnd.ExpFloat64())
	if left := a.Queued - n; left > 0 && n > 0 {
		wait += float64(left) / float64(n) * 1e9
	}
	a.Queued -= n
	a.Finished += uint64(n)
	a.InFlight = int(math.Round(float64(n) * d.service.Seconds()))
	a.WorkerTime += time.Duration(n) * d.service
	d.InFlight += a.InFlight
	for range min(n, 40) {
		runs = append(runs, consumer.Handled{
			Tenant: a.Tenant, Downstream: d.Downstream, Lane: consumer.LaneMain, Result: consumer.ResultSuccess,
			Wait: time.Duration(wait * (0.6 + 0.5*s.rnd.ExpFloat64())),
			Took: time.Duration(float64(d.service) * (0.8 + 0.25*s.rnd.ExpFloat64())),
		})
	}
	failed := 0
	if d.failing {
		failed = n / 2
	}
	d.Settled[consumer.OutcomeRetry] += uint64(failed)
	d.Settled[consumer.OutcomeAck] += uint64(n - failed)
	return runs
}

// settle sheds what has no room, brings back what has some again, and says why a waits.
func (s *scene) settle(d *downstream, a *actor, back *uint64) {
	if a.Queued > a.QueueHigh {
		a.Shedding = true
		d.Settled[consumer.OutcomeSpill] += uint64(a.Queued - a.QueueHigh)
		a.Overflow += uint64(a.Queued - a.QueueHigh)
		a.Queued = a.QueueHigh
	} else if a.Queued < a.QueueHigh/2 {
		a.Shedding = false
		n := min(a.Overflow, uint64(a.QueueHigh/2-a.Queued))
		a.Overflow -= n
		a.Queued += int(n)
		*back += n
	}
	a.Fullest, a.Bytes, a.Waiting, a.Oldest = a.Queued, int64(a.Queued)*900, nil, time.Time{}
	if a.Queued == 0 {
		return
	}
	a.Oldest = s.now.Add(-time.Duration(1+a.Queued/20) * 300 * time.Millisecond)
	a.Waiting = &consumer.Waiting{For: consumer.WaitTurn, Downstream: d.Downstream, Since: a.Oldest}
	switch {
	case a.Paused:
		a.Waiting.For = consumer.WaitPaused
	case d.Breaker.State != consumer.BreakerClosed:
		a.Waiting.For, a.Waiting.Until = consumer.WaitDownstreamBreaker, d.Breaker.Until
	case d.Queued > 0 || a.Queued > 20:
		a.Waiting.For = consumer.WaitDownstreamLimit
	}
}

func (s *scene) overflowLane(back uint64) {
	st := &s.state
	if back == 0 && len(st.Lanes) == 3 {
		return
	}
	if len(st.Lanes) == 3 {
		st.Lanes = append(st.Lanes[:1:1], consumer.LaneState{Lane: consumer.LaneOverflow, Consumer: "overflow"}, st.Lanes[1], st.Lanes[2])
	}
	l := &st.Lanes[1]
	l.Pulled += back
	l.Batch, l.Pending = int(back), 0
	for _, a := range s.actors {
		l.Pending += a.Overflow
	}
}

func (d *downstream) setLimit(to int, why string, at time.Time) {
	if to == d.Limit.Limit {
		return
	}
	d.Limit.From, d.Limit.Limit, d.Limit.Why, d.Limit.Changed = d.Limit.Limit, to, why, at
}
