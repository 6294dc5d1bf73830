package overloadsim

type kind uint8

const (
	arrival kind = iota
	look         // at a load that was so low that nothing arrived for a second
	served
	gaveUp
	refused
	second
)

// An event is what happens at a time, to a call if it is about one.
type event struct {
	at    int64
	start int64 // of the call, so that an event of one that is gone does nothing
	call  int32
	kind  kind
}

// A heap holds what is to happen, the next first.
type heap struct{ events []event }

func (h *heap) push(e event) {
	h.events = append(h.events, e)
	i := len(h.events) - 1
	for i > 0 {
		parent := (i - 1) / 2
		if h.events[parent].at <= e.at {
			break
		}
		h.events[i] = h.events[parent]
		i = parent
	}
	h.events[i] = e
}

// pop requires that there is something.
func (h *heap) pop() event {
	first, n := h.events[0], len(h.events)-1
	e := h.events[n]
	h.events = h.events[:n]
	if n == 0 {
		return first
	}
	i := 0
	for {
		child := 2*i + 1
		if child >= n {
			break
		}
		if child+1 < n && h.events[child+1].at < h.events[child].at {
			child++
		}
		if e.at <= h.events[child].at {
			break
		}
		h.events[i] = h.events[child]
		i = child
	}
	h.events[i] = e
	return first
}

// A fifo is a queue whose room is used again.
type fifo struct {
	ids  []int32
	head int
}

func (q *fifo) len() int { return len(q.ids) - q.head }

func (q *fifo) push(id int32) { q.ids = append(q.ids, id) }

// pop requires that there is something.
func (q *fifo) pop() int32 {
	id := q.ids[q.head]
	q.head++
	if q.head > 1024 && 2*q.head > len(q.ids) {
		q.ids = append(q.ids[:0], q.ids[q.head:]...)
		q.head = 0
	}
	return id
}
