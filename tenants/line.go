package tenants

import (
	"slices"
	"sync"
	"sync/atomic"
)

// Lines are the callers of Pool.Submit that wait, in one line per tenant. A submitter
// stands in line before it tries, and the place that a worker frees is announced to the
// head of the line afterwards, so none is missed. The mutex is never held together with
// that of the queues.
type lines struct {
	waiting  atomic.Int32 // submitters in all lines
	mu       sync.Mutex
	byTenant map[string][]*submitter
	any      []*submitter // want room in the pool as a whole
}

type submitter struct {
	tenant string
	room   chan struct{} // holds one announcement
	any    bool          // in lines.any; guarded by lines.mu
}

func (w *submitter) announce() {
	select {
	case w.room <- struct{}{}:
	default:
	}
}

// has reports whether somebody waits for the tenant.
func (l *lines) has(tenant string) bool {
	if l.waiting.Load() == 0 {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.byTenant[tenant]) > 0
}

// join puts a new submitter at the end of its line. If that is the head, it may try.
func (l *lines) join(tenant string) *submitter {
	w := &submitter{tenant: tenant, room: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting.Add(1)
	line := append(l.byTenant[tenant], w)
	l.byTenant[tenant] = line
	if len(line) == 1 {
		w.announce()
	}
	return w
}

// wantAny makes w wait for room in the pool as a whole too; false if it did already.
func (l *lines) wantAny(w *submitter) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if w.any {
		return false
	}
	w.any = true
	l.any = append(l.any, w)
	return true
}

// wantOwn makes w wait for room in its own queue alone, and lets whoever is next have the
// room in the pool that w could not use.
func (l *lines) wantOwn(w *submitter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pass(w)
}

// leave is for a submitter that has succeeded or given up. Whoever is next has a try, as
// the announcement that w has had may have been for more than w has used.
func (l *lines) leave(w *submitter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.waiting.Add(-1)
	line := l.byTenant[w.tenant]
	i := slices.Index(line, w)
	line = slices.Delete(line, i, i+1)
	if len(line) == 0 {
		delete(l.byTenant, w.tenant)
	} else {
		l.byTenant[w.tenant] = line
		line[0].announce()
	}
	l.pass(w)
}

// pass requires mu.
func (l *lines) pass(w *submitter) {
	if !w.any {
		return
	}
	w.any = false
	i := slices.Index(l.any, w)
	l.any = slices.Delete(l.any, i, i+1)
	if len(l.any) > 0 {
		l.any[0].announce()
	}
}

// room announces that a job of the tenant has left the queue.
func (l *lines) room(tenant string) {
	if l.waiting.Load() == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if line := l.byTenant[tenant]; len(line) > 0 {
		line[0].announce()
	}
	if len(l.any) > 0 {
		l.any[0].announce()
	}
}
