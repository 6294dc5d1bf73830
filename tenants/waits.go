package tenants

// Wait says for what the head of a queue waits. The first that applies counts, in the order
// below.
type Wait string

// What a queue may wait for.
const (
	WaitPaused  Wait = "paused"  // Policy.Paused
	WaitCap     Wait = "cap"     // MaxInFlight of its tenant are running
	WaitRate    Wait = "rate"    // a token of its tenant's Rate, or the time that ReturnUntil has named
	WaitDelayed Wait = "delayed" // the time that Requeue has named
	WaitClosed  Wait = "closed"  // SetOpen or OpenFor: its class is closed
	WaitLimit   Wait = "limit"   // SetLimit: as many of its class are running
	WaitTurn    Wait = "turn"    // others are due before it
	WaitWorker  Wait = "worker"  // nothing: it is the next that runs
)

// waits returns for what q waits, "" if it is empty, and until when, 0 if nobody knows.
// first is what first has returned.
func (s *scheduler) waits(q, first *queue) (why Wait, until int64) {
	t := q.tenant
	switch {
	case q.depth == 0:
		return "", 0
	case t.limits.paused:
		return WaitPaused, 0
	case t.atCap():
		return WaitCap, 0
	case t.dry:
		return WaitRate, s.dry.orderOf(t.id)
	case s.delayed.has(q.id):
		return WaitDelayed, q.gate
	case q.class.left == 0:
		return WaitClosed, 0
	case !q.class.open:
		return WaitLimit, 0
	case q != first:
		return WaitTurn, 0
	}
	return WaitWorker, 0
}

// first returns the queue whose head is due first, as of the last time seen; nil if none
// may run.
func (s *scheduler) first() *queue {
	var best *class
	var bestDue key
	for _, c := range s.classes {
		if !c.open || len(c.heap.entries) == 0 {
			continue
		}
		if due := c.due(); best == nil || due.before(bestDue) == 1 {
			best, bestDue = c, due
		}
	}
	if best == nil {
		return nil
	}
	return s.queues[best.heap.entries[0].id]
}
