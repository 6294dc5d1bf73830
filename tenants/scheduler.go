package tenants

import "time"

// A scheduler decides: what is admitted, what runs next, what it costs whom. It has no
// lock, no clock and no items; times are ns since an epoch of the caller's choice.
type scheduler struct {
	v     float64 // virtual time, never falls
	peak  float64 // at least as high as any tag
	order uint64  // arrivals so far

	tenants     map[string]*tenant
	byID        []*tenant
	freeTenants []int32
	queues      []*queue
	freeQueues  []int32
	classes     []*class

	runs     []run
	freeRuns []int32
	charges  heap // running items by the time of their next charge
	delayed  heap // queues that wait for their gate, by its time
	dry      heap // tenants that wait for a token, by when it comes
	pledges  heap // queues that hold within a time, by when that must be looked at again

	queued, running, holds int
	eased                  bool // a queue ended to shed or hold, which is not announced yet
	bytes                  int64
	readyItems             int   // in heaps of classes of which something may start
	readyBytes             int64 // of these
	jammed                 bool  // a queue that may not start got less than its marks, by the soft bound
	depths                 depths

	maxQueued   int
	maxBytes    int64
	soft        Soft
	cost        float64
	forgetAfter int64
	idle        int // tenants with nothing queued or running
	maxIdle     int
	hand        int
	settled     int // runs ended
	rebaseAt    float64
	keepAll     bool // tests: forget nobody
}

// A run is an item being worked on. Its weight stays what it was when it started, so that
// what is given back at its end is what was charged.
type run struct {
	queue   *queue
	order   uint64
	start   int64
	charged float64 // service time charged so far, ns
	weight  float64
	gen     uint32 // odd while running
}

const (
	maxIdle    = 16384
	minService = float64(time.Microsecond) // what any run costs at least, or a tenant of empty ones would never be due later
	maxService = float64(24 * time.Hour)   // what a run costs at most, should the clock jump
	decay      = 1.0 / 8                   // of the mean service time and of the mean gap
	rebaseAt   = 1 << 50                   // virtual ns, 13 days, above which floats begin to lose what we add
)

func newScheduler(c Config) *scheduler {
	return &scheduler{
		tenants:   make(map[string]*tenant),
		maxQueued: c.Messages, maxBytes: c.Bytes, soft: c.Soft,
		cost:        service(int64(c.Cost)),
		forgetAfter: int64(c.Forget),
		maxIdle:     maxIdle,
		rebaseAt:    rebaseAt,
	}
}

// service returns what ns of work count as.
func service(ns int64) float64 {
	return min(max(float64(ns), minService), maxService)
}

// least returns the queue whose head is due first, nil if none may run.
func (s *scheduler) least(now int64) *queue {
	s.ungate(now)
	s.overcharge(now)
	return s.first()
}

// runnable reports whether some queue may run.
func (s *scheduler) runnable() bool {
	for _, c := range s.classes {
		if c.open && len(c.heap.entries) > 0 {
			return true
		}
	}
	return false
}

// dispatch starts the head of q, which least has returned, and of which next is the
// order of the item behind it. The tenant is charged its mean service time in advance.
func (s *scheduler) dispatch(now int64, q *queue, size int, next uint64) int32 {
	t := q.tenant
	start := max(t.tag, q.class.floor)
	s.v = max(s.v, start)
	g := s.charge(t)
	t.tag, t.turn = start+g/t.limits.weight, false
	s.peak = max(s.peak, t.tag)
	id := s.begin(run{queue: q, order: q.order, start: now, charged: g, weight: t.limits.weight})

	s.remove(now, q, size, next)
	t.running++
	t.begun += now
	s.running++
	s.started(q.class)
	s.spend(now, t)
	if t.blocked() {
		s.withdraw(t)
	} else {
		s.rekey(t)
	}
	if s.v >= s.rebaseAt {
		s.rebase()
	}
	return id
}

// charge returns what a run of t is charged in advance.
func (s *scheduler) charge(t *tenant) float64 {
	if t.cost == 0 {
		return s.cost
	}
	return t.cost
}

func (s *scheduler) begin(r run) int32 {
	var id int32
	if n := len(s.freeRuns); n > 0 {
		id = s.freeRuns[n-1]
		s.freeRuns = s.freeRuns[:n-1]
	} else {
		id = int32(len(s.runs))
		s.runs = append(s.runs, run{})
	}
	r.gen = s.runs[id].gen + 1
	s.runs[id] = r
	s.charges.put(id, key{order: uint64(r.start) + uint64(r.charged)})
	return id
}

// overcharge doubles what runs that have outlasted their charge are charged, so that one
// that never ends can not hide: at any time the charge is at least the time it has run.
func (s *scheduler) overcharge(now int64) {
	for len(s.charges.entries) > 0 {
		e := s.charges.entries[0]
		if int64(e.order) > now {
			return
		}
		r := &s.runs[e.id]
		if r.charged >= maxService {
			s.charges.remove(e.id)
			continue
		}
		t := r.queue.tenant
		t.tag += r.charged / r.weight
		s.peak = max(s.peak, t.tag)
		r.charged *= 2
		s.charges.put(e.id, key{order: uint64(r.start) + uint64(r.charged)})
		s.rekey(t)
	}
}

// finish ends a run, unless it has ended before: the tenant has what was charged too much
// back, or pays what was too little.
func (s *scheduler) finish(now int64, id int32, gen uint32) (*queue, run, bool) {
	r, ok := s.end(id, gen)
	if !ok {
		return nil, r, false
	}
	t := r.queue.tenant
	took := service(now - r.start)
	t.tag += (took - r.charged) / r.weight
	s.peak = max(s.peak, t.tag)
	if t.cost == 0 {
		t.cost = took
	} else {
		t.cost += decay * (took - t.cost)
	}
	t.worked += time.Duration(max(0, now-r.start))
	s.vacate(r, t.blocked())
	return r.queue, r, true
}

// undo ends a run as if it had never begun.
func (s *scheduler) undo(now int64, id int32, gen uint32) (*queue, run, bool) {
	r, ok := s.end(id, gen)
	if !ok {
		return nil, r, false
	}
	t := r.queue.tenant
	wasBlocked := t.blocked()
	t.tag -= r.charged / r.weight
	t.turn = true
	s.refund(now, t)
	s.vacate(r, wasBlocked)
	return r.queue, r, true
}

// end takes a run out, unless it has ended before.
func (s *scheduler) end(id int32, gen uint32) (run, bool) {
	if gen&1 == 0 || int(id) >= len(s.runs) || s.runs[id].gen != gen {
		return run{}, false
	}
	r := s.runs[id]
	s.runs[id] = run{gen: gen + 1}
	s.freeRuns = append(s.freeRuns, id)
	s.charges.remove(id)
	return r, true
}

// vacate is for a run that has ended and is charged. wasBlocked is of its tenant, before
// the end.
func (s *scheduler) vacate(r run, wasBlocked bool) {
	t := r.queue.tenant
	t.running--
	t.begun -= r.start
	s.running--
	s.ended(r.queue.class)
	if wasBlocked {
		s.enterAll(t)
	} else {
		s.rekey(t)
	}
}

// settle is for when a run has ended and what it leads to is done.
func (s *scheduler) settle(now int64, t *tenant) {
	s.settled++
	if t.idle() {
		s.rest(now, t)
	} else if s.settled%16 == 0 {
		s.sweep(now, t)
	}
}

// enter puts q in the heap of its class if it may run.
func (s *scheduler) enter(q *queue) {
	t := q.tenant
	if q.short && s.ready(q) {
		q.short, s.eased = false, true // other bounds apply now
	}
	if q.depth == 0 || t.blocked() || s.delayed.has(q.id) {
		return
	}
	if s.catchUp(t) {
		s.rekey(t)
	}
	s.seat(q)
}

// catchUp is for t, which is about to contend. Who did not until now starts at virtual time
// at the earliest: debt survives, credit does not. Whose turn came, and was given back, still
// has it: that one starts an item before virtual time at the earliest, so that what comes
// after the item does not. It reports whether t's tag has changed.
func (s *scheduler) catchUp(t *tenant) bool {
	if t.tag >= s.v || t.contends() {
		return false
	}
	earliest := s.v
	if t.turn {
		earliest -= s.charge(t) / t.limits.weight
	}
	if t.tag >= earliest {
		return false
	}
	t.tag = earliest
	return true
}

func (s *scheduler) enterAll(t *tenant) {
	if t.blocked() {
		return
	}
	s.catchUp(t)
	for _, q := range t.queues {
		s.enter(q)
	}
}

// withdraw takes the queues of t out of all heaps.
func (s *scheduler) withdraw(t *tenant) {
	for _, q := range t.queues {
		s.unseat(q)
	}
}

// rekey puts the queues of t, which is in some heaps, where its tag now belongs.
func (s *scheduler) rekey(t *tenant) {
	for _, q := range t.queues {
		if q.class.heap.has(q.id) {
			s.seat(q)
		}
	}
}

// delay lets nothing of q start before at.
func (s *scheduler) delay(now int64, q *queue, at int64) {
	q.gate = max(q.gate, at)
	if q.gate > now {
		s.unseat(q)
		s.delayed.put(q.id, key{order: uint64(q.gate)})
	}
}

// ungate lets the queues and the tenants run whose time has come.
func (s *scheduler) ungate(now int64) {
	if len(s.dry.entries) > 0 {
		s.wet(now)
	}
	for len(s.delayed.entries) > 0 {
		e := s.delayed.entries[0]
		if int64(e.order) > now {
			return
		}
		s.delayed.remove(e.id)
		s.enter(s.queues[e.id])
	}
}

// rebase moves the origin of virtual time up to now. Nothing but differences counts, and
// small numbers keep them exact.
func (s *scheduler) rebase() {
	d := s.v
	s.v, s.peak = 0, s.peak-d
	for _, t := range s.byID {
		if t != nil {
			t.tag -= d
		}
	}
	for _, c := range s.classes {
		c.floor -= d
		c.closedAt -= d
		c.heap.shift(d)
	}
}
