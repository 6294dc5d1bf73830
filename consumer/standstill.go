package consumer

import "time"

// trickleEvery is how often a lane asks for one message while no downstream takes any, so
// that a breaker that is to be tried finds something to try it with.
const trickleEvery = time.Second

// standstill returns why nothing is pulled although the lane could: no downstream would
// take it. What came would fill the queues, and be handed back.
func (l *lane) standstill() PauseReason {
	if l.kind == LaneSuspect || l.kind == LaneOverflow || int(l.c.halted.Load()) < len(l.c.downstreams) {
		return ""
	}
	why := PauseRest
	for _, d := range l.c.downstreams {
		switch d.gate.standing().by {
		case byBreaker:
			why = PauseBreaker
		case byRest:
		default:
			return ""
		}
	}
	return why
}

// trickle asks for one message if a breaker waits for one to try.
func (l *lane) trickle(now time.Time) {
	if now.Sub(l.trickled) < trickleEvery || l.state.requested.Load() > 0 || !l.c.probeWanted() {
		return // the next tick looks again
	}
	if batch, bytes := l.reserve(1); batch > 0 {
		l.trickled = now
		l.send(&l.slots[0], batch, bytes, now)
	}
}

// probeWanted reports whether a downstream would try a message and none is here for it.
func (c *Consumer) probeWanted() bool {
	for class, stat := range c.queues.Classes() {
		d := c.downstreams.get(class)
		if d == nil || stat.Runnable > 0 {
			continue
		}
		if s := d.gate.standing(); s.by == byBreaker && s.access == accessSingle {
			return true
		}
	}
	return false
}
