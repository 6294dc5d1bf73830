package overloadsim

import (
	"math/rand/v2"
	"time"
)

// An Outcome is what became of a call, as its process sees it.
type Outcome int

// The outcomes of a call.
const (
	Answered Outcome = iota // late or not
	Dropped                 // given up after Timeout, or refused by the downstream
)

// An Admitter is the limiter of one process. It is called by one goroutine, with times
// that never fall.
type Admitter interface {
	// TryAcquire returns a permit, or false.
	TryAcquire(now time.Time) (Permit, bool)
	// Limit is how many permits there are; it is for show.
	Limit() int
}

// A Permit is released once.
type Permit interface {
	Release(now time.Time, o Outcome)
}

// Epoch is the time at which every run begins.
var Epoch = time.Unix(1_700_000_000, 0)

// Run simulates the scenario with a limiter for each process.
func Run(s Scenario, limiter func(process int) Admitter) *Result {
	s = s.withDefaults()
	m := &sim{Scenario: s, rng: rand.New(rand.NewPCG(s.Seed, 0x5917)), res: newResult(s)}
	for p := range s.Processes {
		m.limiters = append(m.limiters, limiter(p))
	}
	m.events.push(event{at: 0, kind: arrival})
	m.events.push(event{at: 0, kind: second})
	for {
		e := m.events.pop()
		if e.at >= int64(s.Duration) {
			return m.res
		}
		m.now = e.at
		m.happen(e)
	}
}

type call struct {
	permit  Permit
	process int
	start   int64
	open    bool // the permit is not released
	busy    bool // in the downstream's queue or with a worker
}

type sim struct {
	Scenario
	rng      *rand.Rand
	res      *Result
	limiters []Admitter
	now      int64 // since the beginning
	events   heap
	calls    []call
	free     []int32
	queue    fifo // calls that wait for a worker
	serving  int
}

func (m *sim) happen(e event) {
	switch e.kind {
	case arrival:
		m.arrive()
		gap := m.rng.ExpFloat64() / m.Load(time.Duration(m.now)) * 1e9
		m.events.push(event{at: m.now + max(1, int64(min(gap, 1e9))), kind: m.nextArrival(gap)})
	case look:
		gap := m.rng.ExpFloat64() / m.Load(time.Duration(m.now)) * 1e9
		m.events.push(event{at: m.now + max(1, int64(min(gap, 1e9))), kind: m.nextArrival(gap)})
	case served:
		m.serving--
		m.calls[e.call].busy = false
		m.end(e.call, Answered)
		m.serve()
	case gaveUp:
		if c := &m.calls[e.call]; c.open && c.start == e.start {
			m.end(e.call, Dropped)
		}
	case refused:
		m.end(e.call, Dropped)
	case second:
		limit := 0
		for _, l := range m.limiters {
			limit += l.Limit()
		}
		m.res.limit(m.now, limit)
		m.serve() // workers may have been added
		m.events.push(event{at: m.now + 1e9, kind: second})
	}
}

// nextArrival is an arrival, or a look at the load a second later if there is none before.
func (m *sim) nextArrival(gap float64) kind {
	if gap > 1e9 {
		return look
	}
	return arrival
}

func (m *sim) time(process int) time.Time {
	return Epoch.Add(time.Duration(m.now) + m.Skew(process))
}

func (m *sim) draw() int {
	if m.Processes == 1 {
		return 0
	}
	t, sum := time.Duration(m.now), 0.0
	for p := range m.Processes {
		sum += m.Active(p, t)
	}
	x := m.rng.Float64() * sum
	for p := range m.Processes {
		if x -= m.Active(p, t); x < 0 {
			return p
		}
	}
	return m.Processes - 1
}

func (m *sim) arrive() {
	p := m.draw()
	permit, ok := m.limiters[p].TryAcquire(m.time(p))
	if !ok {
		m.res.refused(m.now)
		return
	}
	id := m.newCall(call{permit: permit, process: p, start: m.now, open: true})
	if m.RefuseAbove > 0 && m.queue.len()+m.serving >= m.RefuseAbove {
		m.events.push(event{at: m.now + int64(m.RefuseAfter), kind: refused, call: id})
		return
	}
	if m.Timeout > 0 {
		m.events.push(event{at: m.now + int64(m.Timeout), kind: gaveUp, call: id, start: m.now})
	}
	if m.Dead(time.Duration(m.now)) {
		return
	}
	m.calls[id].busy = true
	m.queue.push(id)
	m.serve()
}

// serve gives the head of the queue to idle workers.
func (m *sim) serve() {
	t := time.Duration(m.now)
	for workers := int(m.Workers(t)); m.serving < workers && m.queue.len() > 0; {
		inside := m.queue.len() + m.serving
		id := m.queue.pop()
		m.serving++
		s := m.Service(m.rng) * m.Slow(t)
		if over := inside - workers; over > 0 {
			s *= 1 + m.Thrash*float64(over)/float64(workers)
		}
		m.events.push(event{at: m.now + max(1, int64(s*1e9)), kind: served, call: id})
	}
}

// end releases the permit, if that was not done, and forgets the call once the downstream
// has done with it.
func (m *sim) end(id int32, o Outcome) {
	c := &m.calls[id]
	if c.open {
		c.open = false
		m.res.done(m.now, time.Duration(m.now-c.start), o)
		c.permit.Release(m.time(c.process), o)
	}
	if !c.busy {
		c.permit = nil
		m.free = append(m.free, id)
	}
}

func (m *sim) newCall(c call) int32 {
	if n := len(m.free); n > 0 {
		id := m.free[n-1]
		m.free = m.free[:n-1]
		m.calls[id] = c
		return id
	}
	m.calls = append(m.calls, c)
	return int32(len(m.calls) - 1)
}
