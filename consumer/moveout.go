package consumer

import (
	"slices"
	"time"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// moveOut takes a queue out of the way, so that it comes back in its order. It does nothing
// while the lane of its overflow is about to bring more.
func (c *Consumer) moveOut(b blockedQueue, now time.Time) {
	f, ok := c.spillway.clear(flowKey{Downstream: envelope.Token(b.downstream), Tenant: envelope.Token(b.tenant)})
	if !ok {
		return
	}
	defer c.spillway.cleared(f)
	taken := c.queues.Take(b.tenant, b.downstream)
	exits := c.spillway.whereabouts(f).exits(taken)
	var ahead []*delivery
	back := make(map[*flow]int)
	for i, d := range taken {
		switch exits[i] {
		case exitFront:
			ahead = append(ahead, d)
		case exitBack:
			back[d.lane.flow]++
		case exitStay, exitShed:
		}
	}
	var front *flow
	if len(ahead) > 0 {
		if front = c.spillway.toFront(f, ahead); front == nil {
			clear(exits) // all of it stays
			clear(back)
		}
	}
	for from, n := range back {
		c.spillway.handedBack(from, n, now)
	}
	for i, d := range taken {
		switch exits[i] {
		case exitStay:
			c.putBack(d, now)
		case exitBack:
			c.giveBack(d)
		case exitFront:
			c.spill(front, d)
		case exitShed:
			c.shed(d, now)
		}
	}
	for _, d := range c.spillway.behindOf(f) {
		c.spill(f, d)
	}
}

// putBack queues d again.
func (c *Consumer) putBack(d *delivery, now time.Time) {
	if err := c.queues.PutAt(now, d.msg.Tenant, d.route.Downstream, d, d.size); err != nil {
		c.giveBack(d)
	}
}

// An exit is where a message goes that is taken out of its queue.
type exit uint8

const (
	exitStay  exit = iota // in the queue, after all
	exitBack              // to the overflow that it came back from
	exitFront             // before all overflow of the queue but what is in its front already
	exitShed              // behind all of it
)

// whereabouts are where the overflow of a queue is.
type whereabouts struct {
	rear, front         *flow // front may be nil
	overflows           bool  // there is something in either
	rearAway, frontAway bool  // something was handed back there and has not come again
}

// exits decides where taken, which is a queue, goes so that it comes back in its order: first
// what is in the front, then the rest of the overflow, and last what the main lane brings.
//
// JetStream delivers what was handed back before anything new, in the order in which that was
// done. So what came back from an overflow is handed back to it, unless others that were
// handed back, and are newer, have not come again, or it would be taken for a suspect for its
// many deliveries: then it goes to the front, or it stays if it came from there. What the main
// lane has brought goes to the end of the overflow; but to the front, with all before it, if
// the overflow holds what is newer, or will. Retries stay, as they have a share of their own.
func (w whereabouts) exits(taken []*delivery) []exit {
	exits := make([]exit, len(taken))
	stays, newer := w.frontAway, w.overflows
	ahead := false // what is left goes to the front, but what came from there
	for i, d := range slices.Backward(taken) {
		often := d.msg.Deliveries >= d.lane.innocent()
		switch {
		case d.lane.kind == LaneMain:
			ahead = ahead || newer
			exits[i] = exitShed
		case d.lane.kind == LaneOverflow && d.lane.flow == w.rear:
			ahead = ahead || w.rearAway || often
			newer = true
			exits[i] = exitBack
		case d.lane.kind == LaneOverflow:
			stays = stays || often && d.lane.flow == w.front
			exits[i] = exitBack
			continue
		default:
			exits[i] = exitStay
			continue
		}
		if ahead {
			exits[i] = exitFront
		}
	}
	for i, d := range taken {
		if stays && d.lane.flow != nil && d.lane.flow == w.front {
			exits[i] = exitStay
		}
	}
	return exits
}
