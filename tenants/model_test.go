package tenants

import (
	"errors"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A model is Queues as plainly as one can write it, fairness aside, beside the real ones:
// some that forget tenants and some that do not, which must agree in everything.
type model struct {
	real, keeps *Queues[int]
	now         time.Time
	next        int
	queues      map[modelKey]*modelQueue
	policy      map[string]Policy
	left        map[string]int // how many of a class may still start; absent: any number
	limit       map[string]int
	rates       map[string]*modelRate
	starved     map[string]time.Time // tenants of shared rates, until when
	running     []modelRun
	ended       []modelRun
	total, size int
	v           float64
}

type modelKey struct{ tenant, class string }

type modelQueue struct {
	items []int // values, which are in order of arrival
	bytes int
	over  bool
	gate  time.Time
}

type modelRun struct{ real, keeps Job[int] }

const (
	modelMessages = 12
	modelBytes    = 120
)

func newModel(t *rapid.T) *model {
	m := &model{
		now: start, queues: map[modelKey]*modelQueue{},
		policy: map[string]Policy{}, left: map[string]int{}, limit: map[string]int{}, rates: map[string]*modelRate{}, starved: map[string]time.Time{},
	}
	c := Config{Messages: modelMessages, Bytes: modelBytes, Forget: 3 * time.Millisecond, Default: m.of("")}
	var err, err2 error
	m.real, err = NewQueues[int](c)
	m.keeps, err2 = NewQueues[int](c)
	if err = errors.Join(err, err2); err != nil {
		t.Fatal(err)
	}
	m.keeps.s.keepAll = true
	return m
}

func (m *model) of(tenant string) Policy {
	if p, ok := m.policy[tenant]; ok {
		return p
	}
	return Policy{Queue: 5, Bytes: 50, High: 0.8, Low: 0.4, Weight: 1}
}

func (m *model) queue(k modelKey) *modelQueue {
	if m.queues[k] == nil {
		m.queues[k] = &modelQueue{}
	}
	return m.queues[k]
}

func (m *model) inFlight(tenant string) (n int) {
	for _, r := range m.running {
		if r.real.Tenant == tenant {
			n++
		}
	}
	return n
}

// atHigh and atLow are the marks, from what the documentation says.
func (m *model) atHigh(k modelKey) bool {
	p, q := m.of(k.tenant), m.queue(k)
	return float64(len(q.items)) >= p.High*float64(p.Queue) || float64(q.bytes) >= p.High*float64(p.Bytes)
}

func (m *model) atLow(k modelKey) bool {
	p, q := m.of(k.tenant), m.queue(k)
	return float64(len(q.items)) <= p.Low*float64(p.Queue) && float64(q.bytes) <= p.Low*float64(p.Bytes)
}

func (m *model) admit(k modelKey, size int) error {
	p, q := m.of(k.tenant), m.queue(k)
	if m.total >= modelMessages || m.size+size > modelBytes {
		return ErrFull
	}
	if len(q.items) > 0 && q.bytes+size > int(p.Bytes) {
		q.over = true
	}
	if q.over && !p.Hold {
		return ErrShed
	}
	return nil
}

func (m *model) push(t *rapid.T) {
	k := drawKey(t)
	size := rapid.IntRange(0, 30).Draw(t, "size")
	want := m.admit(k, size)
	m.next++
	err := m.real.PushAt(m.now, k.tenant, k.class, m.next, size)
	err2 := m.keeps.PushAt(m.now, k.tenant, k.class, m.next, size)
	if err != want || err2 != want {
		t.Fatalf("Push(%v, %d bytes) is %v and %v, want %v", k, size, err, err2, want)
	}
	if err == nil {
		q := m.queue(k)
		q.items = append(q.items, m.next)
		m.count(k, size, 1)
	}
}

// count is for n items of size bytes more.
func (m *model) count(k modelKey, size, n int) {
	q := m.queue(k)
	q.bytes += n * size
	m.size += n * size
	m.total += n
	if m.atHigh(k) && n > 0 {
		q.over = true
	}
	if n < 0 && m.atLow(k) {
		q.over = false
	}
}

func (m *model) take(t *rapid.T) {
	j, ok := m.real.TryNext(m.now)
	j2, ok2 := m.keeps.TryNext(m.now)
	if ok != ok2 || j.Value != j2.Value {
		t.Fatalf("with forgetting %d %v, without %d %v", j.Value, ok, j2.Value, ok2)
	}
	if !ok {
		for k := range m.queues {
			if why := m.waits(k); why == "" {
				t.Fatalf("nothing runs, and %v has no reason to wait", k)
			}
		}
		return
	}
	k := modelKey{j.Tenant, j.Class}
	if why := m.waits(k); why != "" {
		t.Fatalf("%v runs, and should wait: %s", k, why)
	}
	q := m.queue(k)
	if q.items[0] != j.Value {
		t.Fatalf("%v: item %d runs, %d is at the head", k, j.Value, q.items[0])
	}
	q.items = q.items[1:]
	m.count(k, j.Size, -1)
	m.running = append(m.running, modelRun{j, j2})
	if left, bounded := m.left[k.class]; bounded {
		m.left[k.class] = left - 1
	}
	if r := m.rates[k.tenant]; r != nil {
		r.spend(m.now, 1)
	}
}

// A modelRate counts tokens in billionths, one for each ns that brings it.
type modelRate struct {
	tokens, burst int64
	at            time.Time
}

const modelToken = int64(2 * time.Millisecond) // at one token in so long

func (r *modelRate) spend(now time.Time, tokens int64) {
	r.tokens = min(r.burst, r.tokens+int64(now.Sub(r.at))) - tokens*modelToken
	r.tokens, r.at = min(r.burst, r.tokens), now
}

func (m *model) inClass(class string) (n int) {
	for _, r := range m.running {
		if r.real.Class == class {
			n++
		}
	}
	return n
}

// waits says why nothing of a queue may run.
func (m *model) waits(k modelKey) Wait {
	p, q := m.of(k.tenant), m.queue(k)
	switch {
	case len(q.items) == 0:
		return "empty" // of ours alone
	case p.Paused:
		return WaitPaused
	case p.MaxInFlight > 0 && m.inFlight(k.tenant) >= p.MaxInFlight:
		return WaitCap
	case m.dry(k.tenant), m.starved[k.tenant].After(m.now):
		return WaitRate
	case q.gate.After(m.now):
		return WaitDelayed
	case m.closed(k.class):
		return WaitClosed
	case m.limit[k.class] > 0 && m.inClass(k.class) >= m.limit[k.class]:
		return WaitLimit
	}
	return ""
}

func (m *model) dry(tenant string) bool {
	r := m.rates[tenant]
	if r == nil {
		return false
	}
	r.spend(m.now, 0)
	return r.tokens < modelToken
}

func (m *model) closed(class string) bool {
	left, bounded := m.left[class]
	return bounded && left <= 0
}

func (m *model) end(t *rapid.T) modelRun {
	if len(m.running) == 0 {
		t.Skip("nothing runs")
	}
	i := rapid.IntRange(0, len(m.running)-1).Draw(t, "run")
	r := m.running[i]
	m.running = append(m.running[:i:i], m.running[i+1:]...)
	m.ended = append(m.ended, r)
	return r
}

func (m *model) done(t *rapid.T) {
	r := m.end(t)
	m.real.DoneAt(m.now, r.real)
	m.keeps.DoneAt(m.now, r.keeps)
}

func (m *model) doneAgain(t *rapid.T) {
	if len(m.ended) == 0 {
		t.Skip("nothing has ended")
	}
	r := rapid.SampledFrom(m.ended).Draw(t, "ended")
	if rapid.Bool().Draw(t, "requeue") {
		m.real.RequeueAt(m.now, r.real, m.now)
	} else {
		m.real.DoneAt(m.now, r.real)
	}
}

func (m *model) requeue(t *rapid.T) {
	r := m.end(t)
	notBefore := m.now.Add(time.Duration(rapid.IntRange(-1, 4).Draw(t, "in")) * time.Millisecond)
	m.real.RequeueAt(m.now, r.real, notBefore)
	m.keeps.RequeueAt(m.now, r.keeps, notBefore)
	k := modelKey{r.real.Tenant, r.real.Class}
	m.putBack(k, r)
	q := m.queue(k)
	if notBefore.After(q.gate) {
		q.gate = notBefore
	}
}

// giveBack is for an item that was started and cannot run.
func (m *model) giveBack(t *rapid.T) {
	r := m.end(t)
	k := modelKey{r.real.Tenant, r.real.Class}
	was, _ := m.real.Tenant(k.tenant)
	m.real.Return(m.now, r.real)
	m.keeps.Return(m.now, r.keeps)
	if is, _ := m.real.Tenant(k.tenant); is.Cost != was.Cost || is.WorkerTime != was.WorkerTime || is.Finished != was.Finished {
		t.Fatalf("what never ran is charged: %+v was %+v", is, was)
	}
	m.putBack(k, r)
	if rate := m.rates[k.tenant]; rate != nil {
		rate.spend(m.now, -1)
	}
}

// giveBackUntil is giveBack for an item that has found no token of a shared rate.
func (m *model) giveBackUntil(t *rapid.T) {
	r := m.end(t)
	k := modelKey{r.real.Tenant, r.real.Class}
	until := m.now.Add(time.Duration(rapid.IntRange(-1, 4).Draw(t, "in")) * time.Millisecond)
	m.real.ReturnUntil(m.now, r.real, until)
	m.keeps.ReturnUntil(m.now, r.keeps, until)
	m.putBack(k, r)
	if m.of(k.tenant).SharedRate {
		if until.After(m.now) {
			m.starved[k.tenant] = until
		}
	} else if rate := m.rates[k.tenant]; rate != nil {
		rate.spend(m.now, -1)
	}
}

func (m *model) putBack(k modelKey, r modelRun) {
	q := m.queue(k)
	at := 0
	for at < len(q.items) && q.items[at] < r.real.Value {
		at++
	}
	q.items = append(q.items[:at:at], append([]int{r.real.Value}, q.items[at:]...)...)
	m.count(k, r.real.Size, 1)
}

func (m *model) setPolicy(t *rapid.T) {
	k := drawKey(t)
	p := Policy{
		Queue: rapid.IntRange(1, 8).Draw(t, "queue"), Bytes: 50, High: 0.8, Low: 0.4,
		Weight:      rapid.SampledFrom([]float64{0.5, 1, 3}).Draw(t, "weight"),
		MaxInFlight: rapid.IntRange(0, 2).Draw(t, "cap"),
		Hold:        rapid.Bool().Draw(t, "hold"),
		Paused:      rapid.IntRange(0, 3).Draw(t, "pause") == 0,
	}
	burst := rapid.IntRange(0, 2).Draw(t, "burst") // 0: no rate
	if burst > 0 {
		p.SharedRate = rapid.Bool().Draw(t, "shared")
		p.Rate = Rate{Events: 1, Per: time.Duration(modelToken), Burst: burst}
	}
	if err := errors.Join(m.real.SetPolicyAt(m.now, k.tenant, p), m.keeps.SetPolicyAt(m.now, k.tenant, p)); err != nil {
		t.Fatal(err)
	}
	m.policy[k.tenant] = p
	delete(m.starved, k.tenant)
	if p.SharedRate {
		burst = 0 // of ours
	}
	m.setRate(k.tenant, int64(burst)*modelToken)
	for other, q := range m.queues {
		if other.tenant == k.tenant {
			q.over = len(q.items) > 0 && (m.atHigh(other) || q.over && !m.atLow(other))
		}
	}
}

// setRate keeps the tokens there are; who had no rate, or a full bucket, begins with a full
// one.
func (m *model) setRate(tenant string, burst int64) {
	r := m.rates[tenant]
	switch {
	case burst == 0:
		delete(m.rates, tenant)
	case r == nil:
		m.rates[tenant] = &modelRate{burst, burst, m.now}
	default:
		r.spend(m.now, 0)
		if r.tokens == r.burst {
			r.tokens = burst
		}
		r.tokens, r.burst = min(r.tokens, burst), burst
	}
}

func (m *model) setOpen(t *rapid.T) {
	k, open := drawKey(t), rapid.Bool().Draw(t, "open")
	m.real.SetOpen(k.class, open)
	m.keeps.SetOpen(k.class, open)
	delete(m.left, k.class)
	if !open {
		m.left[k.class] = 0
	}
}

func (m *model) openFor(t *rapid.T) {
	k, n := drawKey(t), rapid.IntRange(-1, 3).Draw(t, "n")
	m.real.OpenFor(k.class, n)
	m.keeps.OpenFor(k.class, n)
	m.left[k.class] = n
}

func (m *model) setLimit(t *rapid.T) {
	k, n := drawKey(t), rapid.IntRange(-1, 3).Draw(t, "limit")
	m.real.SetLimit(k.class, n)
	m.keeps.SetLimit(k.class, n)
	m.limit[k.class] = n
}

func (m *model) wait(t *rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.IntRange(1, 4000).Draw(t, "µs")) * time.Microsecond)
}

// checkReady checks the sums of what is ready by counting it.
func (m *model) checkReady(t *rapid.T) {
	items, bytes := 0, int64(0)
	for _, c := range m.real.s.classes {
		ready := 0
		for _, e := range c.heap.entries {
			q := m.real.s.queues[e.id]
			ready += q.depth
			if c.left != 0 {
				items, bytes = items+q.depth, bytes+q.bytes
			}
		}
		if c.ready != ready {
			t.Fatalf("class %s has %d ready, counted as %d", c.name, ready, c.ready)
		}
	}
	if s := m.real.s; s.readyItems != items || s.readyBytes != bytes {
		t.Fatalf("%d items of %d bytes are ready, counted as %d of %d", items, bytes, s.readyItems, s.readyBytes)
	}
}

func (m *model) check(t *rapid.T) {
	m.checkReady(t)
	if v := m.real.s.v; v < m.v || math.IsNaN(v) {
		t.Fatalf("virtual time fell from %v to %v", m.v, v)
	} else {
		m.v = v
	}
	if m.keeps.s.v != m.v {
		t.Fatalf("virtual time is %v, and %v when nobody is forgotten", m.v, m.keeps.s.v)
	}
	if m.real.Len() != m.total || m.real.Bytes() != int64(m.size) {
		t.Fatalf("%d items of %d bytes, want %d of %d", m.real.Len(), m.real.Bytes(), m.total, m.size)
	}
	holding := false
	for k, q := range m.queues {
		holding = holding || q.over && m.of(k.tenant).Hold
		st, ok := m.real.Tenant(k.tenant)
		if !ok && len(q.items) > 0 {
			t.Fatalf("tenant %s is forgotten with %d items", k.tenant, len(q.items))
		}
		for class, qs := range st.Classes() {
			if class == k.class && (qs.Queued != len(q.items) || qs.Over != q.over) {
				t.Fatalf("%v is %+v, want %d queued, over %v", k, qs, len(q.items), q.over)
			}
			if class == k.class {
				m.checkWait(t, k, qs)
			}
		}
		if st.InFlight != m.inFlight(k.tenant) {
			t.Fatalf("%s has %d in flight, want %d", k.tenant, st.InFlight, m.inFlight(k.tenant))
		}
		if st.Accepted != st.Finished+uint64(st.Queued+st.InFlight) {
			t.Fatalf("%s does not add up: %+v", k.tenant, st)
		}
	}
	if m.real.Holding() != holding {
		t.Fatalf("Holding is %v, want %v", !holding, holding)
	}
}

// checkWait checks what is told of a wait. The time that has passed since something last
// happened is known to the model alone.
func (m *model) checkWait(t *rapid.T, k modelKey, qs QueueStat) {
	switch want := m.waits(k); {
	case want == "empty" && qs.Waits == "":
	case want == "" && (qs.Waits == WaitTurn || qs.Waits == WaitWorker):
	case (qs.Waits == WaitRate || qs.Waits == WaitDelayed) && !qs.NotBefore.After(m.now): // its time has come
	case want != qs.Waits:
		t.Fatalf("%v waits for %q, want %q", k, qs.Waits, want)
	}
}

func drawKey(t *rapid.T) modelKey {
	return modelKey{
		rapid.SampledFrom([]string{"a", "b", "c", "d"}).Draw(t, "tenant"),
		rapid.SampledFrom([]string{"x", "y"}).Draw(t, "class"),
	}
}

func TestQueuesDoAsTheModelWhoeverIsForgotten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := newModel(t)
		t.Repeat(map[string]func(*rapid.T){
			"push": m.push, "push again": m.push, "take": m.take, "take again": m.take,
			"done": m.done, "done again": m.doneAgain, "requeue": m.requeue,
			"set policy": m.setPolicy, "set open": m.setOpen, "open for": m.openFor, "set limit": m.setLimit,
			"give back": m.giveBack, "give back until": m.giveBackUntil, "wait": m.wait, "": m.check,
		})
	})
}
