package tenants

// Room is what one queue takes at present.
type Room struct {
	Items int  // before it is at its high mark; 0 if Over
	High  int  // that mark, lowered by Config.Soft where that applies
	Soft  int  // what all queues that wait for the same take together, by Config.Soft
	Over  bool // it is shedding or holding
}

// Room returns what the queue of a tenant in a class takes.
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
	r := q.s.roomIn(l, c, c.left != 0 && !l.paused)
	return Room{Items: r.high, High: r.high, Soft: r.soft}
}

// room requires mu.
func (q *Queues[T]) room(qu *queue) Room {
	r := q.s.roomOf(qu)
	q.s.review(q.now, qu, r)
	if r.limited && r.full(qu) {
		q.s.tighten(qu, false) // who asks is told when there is room
	}
	room := Room{High: r.high, Soft: r.soft, Over: qu.mode != normal}
	if !room.Over {
		room.Items = max(r.high-qu.depth, 0)
	}
	return room
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
		if qu.class.name == class {
			taken := q.empty(qu, nil)
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
