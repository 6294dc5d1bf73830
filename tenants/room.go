package tenants

// Room is what one queue takes at present.
type Room struct {
	Items int  // before it is at its high mark; 0 if Over
	High  int  // that mark, lowered by Config.Soft where that applies
	Over  bool // it is shedding or holding
}

// Room returns what the queue of a tenant in a class takes. If that is less than its marks by
// Config.Soft alone, OnRelief will be called when there is more.
func (q *Queues[T]) Room(tenant, class string) Room {
	q.mu.Lock()
	defer q.unlock()
	l := q.defLimits
	if t := q.s.tenants[tenant]; t != nil {
		for _, qu := range t.queues {
			if qu.class.name == class {
				return q.room(qu)
			}
		}
		l = t.limits
	}
	c := q.s.classOf(class)
	r := q.s.roomIn(l, 0, c, c.left != 0 && !l.paused)
	return Room{Items: r.high, High: r.high}
}

// room requires mu. It changes nothing that could call OnRelief: callers may hold locks.
func (q *Queues[T]) room(qu *queue) Room {
	r := q.s.roomOf(qu)
	if r.limited && r.full(qu) {
		q.s.tighten(qu, false) // who asks is told when there is room
	}
	if qu.mode != normal && !r.relieved(qu) {
		return Room{High: r.high, Over: true}
	}
	return Room{Items: max(r.high-qu.depth, 0), High: r.high}
}

// Blocked returns how much is queued that may not start at present, for another reason than
// that workers or the limit of its class are busy.
func (q *Queues[T]) Blocked() (items int, bytes int64) {
	q.mu.Lock()
	defer q.unlock()
	return q.s.queued - q.s.readyItems, q.s.bytes - q.s.readyBytes
}

// Take takes out all that one queue holds, and returns it in its order. What runs goes on.
// For the tenant it counts as Returned.
func (q *Queues[T]) Take(tenant, class string) []T {
	q.mu.Lock()
	defer q.unlock()
	t := q.s.tenants[tenant]
	if t == nil {
		return nil
	}
	for _, qu := range t.queues {
		if qu.class.name == class && qu.depth > 0 {
			taken := q.empty(qu, nil)
			if q.s.jammed {
				q.s.loosen()
			}
			qu.gap, qu.paced = 0, 0 // that was no pace
			q.s.settle(q.now, t)
			if q.sealed && q.s.queued == 0 {
				q.sleepers.rouseAll()
			}
			return taken
		}
	}
	return nil
}

// empty appends to values what qu holds, in its order, and takes it out. It requires mu.
func (q *Queues[T]) empty(qu *queue, values []T) []T {
	for l := q.list(qu); l.head != nil; qu.tenant.returned++ {
		n := l.pop()
		values = append(values, n.value)
		q.s.remove(q.now, qu, n.size, n.behind)
		q.store.put(n)
	}
	return values
}
