package tenants

import "time"

// A node is one queued item. Nodes are made in blocks and used again, so that queueing
// allocates nothing once the block is there, and an empty queue owns no memory.
type node[T any] struct {
	next    *node[T]
	behind  uint64 // order of next, so that taking this one need not touch that one
	order   uint64 // of arrival, over all queues
	arrived time.Time
	size    int
	value   T
}

// A list holds the items of one queue, first in first out.
type list[T any] struct {
	head, tail *node[T]
}

func (l *list[T]) push(n *node[T]) {
	if l.tail == nil {
		l.head = n
	} else {
		l.tail.next, l.tail.behind = n, n.order
	}
	l.tail = n
}

// restore puts n, which was taken from this list, back where its order says. It passes
// only over items that were themselves put back, as those alone can be older than n.
func (l *list[T]) restore(n *node[T]) {
	if l.head == nil || n.order < l.head.order {
		if l.head == nil {
			l.tail = n
		} else {
			n.next, n.behind = l.head, l.head.order
		}
		l.head = n
		return
	}
	before := l.head
	for before.next != nil && before.next.order < n.order {
		before = before.next
	}
	n.next, n.behind = before.next, before.behind
	before.next, before.behind = n, n.order
	if l.tail == before {
		l.tail = n
	}
}

// pop requires that the list is not empty.
func (l *list[T]) pop() *node[T] {
	n := l.head
	l.head = n.next
	if l.head == nil {
		l.tail = nil
	}
	return n
}

const (
	blockNodes = 128
	spareNodes = 8192 // most unused nodes kept while nothing is queued
)

// A store makes nodes and takes them back.
type store[T any] struct {
	free *node[T]
	n    int
}

func (s *store[T]) get() *node[T] {
	if s.free == nil {
		block := make([]node[T], blockNodes)
		for i := range block {
			s.put(&block[i])
		}
	}
	n := s.free
	s.free, n.next = n.next, nil
	s.n--
	return n
}

func (s *store[T]) put(n *node[T]) {
	*n = node[T]{next: s.free}
	s.free = n
	s.n++
}

// trim lets the garbage collector have what a burst has left behind. It is for moments
// when nothing is queued.
func (s *store[T]) trim() {
	if s.n > spareNodes {
		s.free, s.n = nil, 0
	}
}
