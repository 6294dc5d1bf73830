package tenants

import (
	"slices"
	"time"
)

// start is when simulated time begins.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// A fataler is a test, or one run of a property.
type fataler interface {
	Helper()
	Fatal(...any)
}

// A sim runs Queues in simulated time, on workers that take what Next gives them at once.
// Tenants with a cost are backlogged all the time: what starts is pushed again.
type sim struct {
	t       fataler
	q       *Queues[int]
	now     time.Time
	free    int
	running []simRun // by end
	cost    map[string]func() time.Duration
	served  map[string]time.Duration // by runs that have ended
	started map[string]int
	permits map[string]int      // a class named here is closed while it has none left
	trace   []string            // tenants in the order of their starts
	seen    func(now time.Time) // called whenever something has ended
	admit   func(Job[int]) bool // if not nil: false, if it has returned the job
}

type simRun struct {
	job Job[int]
	end time.Time
}

func newSim(t fataler, workers int, c Config) *sim {
	t.Helper()
	return &sim{
		t: t, q: newQueues(t, c), now: start, free: workers,
		cost:    map[string]func() time.Duration{},
		served:  map[string]time.Duration{},
		started: map[string]int{},
	}
}

func newQueues(t fataler, c Config) *Queues[int] {
	t.Helper()
	q, err := NewQueues[int](c)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

// always returns a cost that is always d.
func always(d time.Duration) func() time.Duration {
	return func() time.Duration { return d }
}

// feed makes a tenant backlogged in a class from now on.
func (s *sim) feed(tenant, class string, cost func() time.Duration) {
	s.cost[tenant] = cost
	for range 3 {
		s.push(tenant, class)
	}
}

func (s *sim) push(tenant, class string) {
	s.t.Helper()
	if err := s.q.PushAt(s.now, tenant, class, 0, 1); err != nil {
		s.t.Fatal(err)
	}
}

// run simulates for d.
func (s *sim) run(d time.Duration) {
	for until := s.now.Add(d); ; {
		s.fill()
		if len(s.running) == 0 || s.running[0].end.After(until) {
			s.now = until
			return
		}
		r := s.running[0]
		s.running = s.running[1:]
		s.now = r.end
		s.q.DoneAt(s.now, r.job)
		s.served[r.job.Tenant] += r.end.Sub(r.job.Started)
		s.free++
		s.permit(r.job.Class, 1)
		if s.seen != nil {
			s.seen(s.now)
		}
	}
}

func (s *sim) fill() {
	for s.free > 0 {
		j, ok := s.q.TryNext(s.now)
		if !ok {
			return
		}
		if s.admit != nil && !s.admit(j) {
			continue
		}
		s.free--
		s.permit(j.Class, -1)
		s.started[j.Tenant]++
		s.trace = append(s.trace, j.Tenant)
		cost := s.cost[j.Tenant]
		s.push(j.Tenant, j.Class)
		r := simRun{j, s.now.Add(cost())}
		at, _ := slices.BinarySearchFunc(s.running, r, func(a, b simRun) int {
			if a.end.After(b.end) {
				return 1
			}
			return -1
		})
		s.running = slices.Insert(s.running, at, r)
	}
}

// received is the worker-time a tenant has had until now, running items included.
func (s *sim) received(tenant string) time.Duration {
	sum := s.served[tenant]
	for _, r := range s.running {
		if r.job.Tenant == tenant {
			sum += s.now.Sub(r.job.Started)
		}
	}
	return sum
}

// jain is Jain's index: 1 when all shares are equal.
func jain(shares ...float64) float64 {
	var sum, squares float64
	for _, x := range shares {
		sum += x
		squares += x * x
	}
	return sum * sum / (float64(len(shares)) * squares)
}

func (s *sim) permit(class string, n int) {
	if _, ok := s.permits[class]; ok {
		s.permits[class] += n
		s.q.SetOpen(class, s.permits[class] > 0)
	}
}
