package tenants

import (
	"iter"
	"math"
	"time"
)

// Stat is what is known of one tenant at one moment. Of the items pushed for it, Accepted
// = Finished + Queued + InFlight + Returned, and Shed and Full were refused.
type Stat struct {
	Queued      int
	Bytes       int64 // queued
	InFlight    int
	Weight      float64
	MaxInFlight int
	Rate        Rate
	SharedRate  bool
	Queue       int // most items in each of its queues
	High        int // at how many one of them begins to shed
	Paused      bool
	Over        bool // a queue of it is past its high mark and not yet down to its low mark

	Accepted uint64
	Shed     uint64 // refused with ErrShed
	Full     uint64 // refused with ErrFull
	Finished uint64
	Returned uint64 // by Close

	WorkerTime time.Duration // of all runs that have ended
	Busy       time.Duration // so far, of the runs in flight, as of the last time that Queues was told
	Cost       time.Duration // decayed mean service time, or what is assumed
	Interval   time.Duration // mean time between departures while items waited; 0: unknown
	Oldest     time.Time     // arrival of the oldest queued item; zero: none is queued

	queues []named
}

// QueueStat is what is known of one queue of a tenant.
type QueueStat struct {
	Queued   int
	Bytes    int64
	Over     bool // past its high mark and not yet down to its low mark
	Interval time.Duration
	Oldest   time.Time

	Waits     Wait      // for what its head waits; "": it is empty
	Since     time.Time // since when nothing of it has started, though it was not empty; zero: it is
	NotBefore time.Time // when the wait ends, if it is one for a time
}

type named struct {
	class string
	stat  QueueStat
}

// Classes yields the queues of the tenant by their class.
func (s Stat) Classes() iter.Seq2[string, QueueStat] {
	return func(yield func(string, QueueStat) bool) {
		for _, n := range s.queues {
			if !yield(n.class, n.stat) {
				return
			}
		}
	}
}

// ClassStat is what is known of one class over all tenants.
type ClassStat struct {
	Open     bool // something of it may start: neither closed nor at its limit
	Limit    int  // most running at once, as SetLimit has said; 0: no bound
	Queued   int
	Bytes    int64 // queued
	InFlight int
	Runnable int // tenants that wait for a worker, or for the class to open, and for nothing else
}

// Tenant returns what is known of one tenant, if it is known.
func (q *Queues[T]) Tenant(name string) (Stat, bool) {
	q.mu.Lock()
	defer q.unlock()
	t := q.s.tenants[name]
	if t == nil {
		return Stat{}, false
	}
	st, _ := q.stat(t, nil)
	return st, true
}

const chunk = 128 // tenants read in one hold of the lock

// All yields the tenants known, in no particular order. The lock is taken for some of
// them at a time and never during yield, so the whole is not of one moment. A tenant
// known all the while is yielded once.
func (q *Queues[T]) All() iter.Seq2[string, Stat] {
	return func(yield func(string, Stat) bool) {
		names := make([]string, 0, chunk)
		stats := make([]Stat, 0, chunk)
		for id, more := 0, true; more; {
			names, stats = names[:0], stats[:0]
			id, more = q.collect(id, &names, &stats)
			for i, name := range names {
				if !yield(name, stats[i]) {
					return
				}
			}
		}
	}
}

// collect reads the tenants of up to chunk ids from the given one on. It returns where
// to go on and whether there is more.
func (q *Queues[T]) collect(id int, names *[]string, stats *[]Stat) (int, bool) {
	room := make([]named, 0, chunk)
	q.mu.Lock()
	defer q.unlock()
	end := min(id+chunk, len(q.s.byID))
	for ; id < end; id++ {
		t := q.s.byID[id]
		if t == nil {
			continue
		}
		var st Stat
		st, room = q.stat(t, room)
		*names = append(*names, t.name)
		*stats = append(*stats, st)
	}
	return id, id < len(q.s.byID)
}

// Classes yields the classes known, as of one moment.
func (q *Queues[T]) Classes() iter.Seq2[string, ClassStat] {
	return func(yield func(string, ClassStat) bool) {
		q.mu.Lock()
		names := make([]string, len(q.s.classes))
		stats := make([]ClassStat, len(q.s.classes))
		for i, c := range q.s.classes {
			names[i] = c.name
			stats[i] = ClassStat{c.open, c.limit, c.queued, c.bytes, c.running, len(c.heap.entries)}
		}
		q.unlock()
		for i, name := range names {
			if !yield(name, stats[i]) {
				return
			}
		}
	}
}

// stat reads t; what it knows of the queues is appended to room. It requires mu.
func (q *Queues[T]) stat(t *tenant, room []named) (Stat, []named) {
	cost := t.cost
	if cost == 0 {
		cost = q.s.cost
	}
	st := Stat{
		Queued: t.queued, Bytes: t.bytes, InFlight: t.running,
		Weight: t.limits.weight, MaxInFlight: t.limits.cap, Paused: t.limits.paused,
		Rate: t.limits.policy, SharedRate: t.limits.shared, Queue: t.limits.queue, High: t.limits.high,
		Accepted: t.accepted, Shed: t.shed, Full: t.full,
		Finished: t.finished, Returned: t.returned,
		WorkerTime: t.worked, Busy: time.Duration(max(0, int64(t.running)*q.now-t.begun)), Cost: time.Duration(cost),
	}
	first, pace, next := len(room), 0.0, q.s.first()
	for _, qu := range t.queues {
		qs := q.queueStat(qu, next)
		room = append(room, named{qu.class.name, qs})
		st.Over = st.Over || qs.Over
		if !qs.Oldest.IsZero() && (st.Oldest.IsZero() || qs.Oldest.Before(st.Oldest)) {
			st.Oldest = qs.Oldest
		}
		if qu.gap > 0 {
			pace += 1 / qu.gap
		}
	}
	if pace > 0 {
		st.Interval = time.Duration(math.Round(1 / pace))
	}
	st.queues = room[first:len(room):len(room)]
	return st, room
}

func (q *Queues[T]) queueStat(qu, next *queue) QueueStat {
	st := QueueStat{
		Queued: qu.depth, Bytes: qu.bytes, Over: qu.mode != normal,
		Interval: time.Duration(qu.gap),
	}
	head := q.list(qu).head
	if head == nil {
		return st
	}
	st.Oldest = head.arrived
	st.Since = q.epoch.Add(time.Duration(qu.last))
	var until int64
	if st.Waits, until = q.s.waits(qu, next); until > 0 {
		st.NotBefore = q.epoch.Add(time.Duration(until))
	}
	return st
}
