package consumer

import (
	"errors"
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

// suspectTenant is the queue that suspects run from: at once, whatever their tenant
// has waiting, because a suspect that waits is blamed for what others do meanwhile.
// No tenant can be called so: names hold no control characters.
const suspectTenant = "\x00suspect"

// enqueue puts d into its tenant's queue, or behind the overflow of that, or sheds it.
func (c *Consumer) enqueue(d *delivery, now time.Time) {
	tenant := d.msg.Tenant
	switch d.lane.kind {
	case LaneSuspect:
		if c.overrides.paused(tenant, now) && c.movable(d) {
			c.postpone(d, now) // its tenant's queue is where it waits
			return
		}
		tenant = suspectTenant
	case LaneOverflow:
		c.receiveBack(d, now)
		return
	case LaneRetry:
		if c.followed(d) || c.stepsAside(d, now) {
			return
		}
	case LaneMain:
		if c.followed(d) {
			return
		}
	}
	err := c.queues.PushAt(now, tenant, d.route.Downstream, d, d.size)
	switch {
	case err == nil:
	case errors.Is(err, tenants.ErrClosed):
		c.handBack(d, handBackDelay, OutcomeHandBack)
	default:
		c.shed(d, now)
	}
}

// followed reports whether d went where the overflow of its queue is.
func (c *Consumer) followed(d *delivery) bool {
	f, to, first := c.spillway.follow(d)
	switch to {
	case toQueue:
		return false
	case toWait:
	case toDelay:
		c.overShare(f, d)
	case toOverflow:
		for _, before := range first {
			c.spill(f, before)
		}
		c.spill(f, d)
	}
	return true
}

// asideFor is how long a retry stays away that cannot go where overflow is.
const asideFor = time.Minute

// stepsAside moves d out of the way, a retry that cannot start, and reports whether it did:
// half of what the retry lane may hold is for those that can, whoever else has to wait.
func (c *Consumer) stepsAside(d *delivery, now time.Time) bool {
	l := d.lane
	if 2*(l.budget.messages.Load()-l.state.requested.Load()) <= l.budget.maxMessages || !c.movable(d) || !c.heldUp(d, now) {
		return false
	}
	if f, _ := c.spillway.begin(d, true); f != nil {
		c.spill(f, d)
	} else {
		c.postpone(d, now.Add(asideFor))
	}
	return true
}

// heldUp reports whether what holds the queue of d up is something else than workers.
func (c *Consumer) heldUp(d *delivery, now time.Time) bool {
	if c.overrides.paused(d.msg.Tenant, now) || d.route.state.gate.standing().halted() {
		return true
	}
	stat, _ := c.queues.Tenant(d.msg.Tenant)
	for downstream, q := range stat.Classes() {
		if downstream == d.route.Downstream {
			return q.Waits == tenants.WaitCap || q.Waits == tenants.WaitRate
		}
	}
	return false
}

// shed does with d, which its queue has refused, what the tenant's policy says.
func (c *Consumer) shed(d *delivery, now time.Time) {
	f, policy := c.spillway.begin(d, c.movable(d))
	switch {
	case f != nil && policy == OverflowSpill:
		c.spill(f, d)
		return
	case f != nil:
		c.overShare(f, d)
		return
	}
	c.observers.shed(Shed{Tenant: d.msg.Tenant, Downstream: d.route.Downstream, Policy: policy})
	if policy == OverflowDrop {
		c.drop(d)
		return
	}
	c.delay(d, now)
}

// The bounds of handing back to shed.
const (
	minDelay        = 20 * time.Millisecond
	maxDelay        = 10 * time.Second // a pace that was slow may recover: nothing calls back what is away
	maxDelayedTimes = 3                // deliveries after which a message is moved instead
)

// delay sheds d: it is handed back until its queue should have room for it. A
// message that comes back for the third time, and any when too many are away, is
// moved to the retry lane, where it waits as long without holding a place of the
// main lane.
func (c *Consumer) delay(d *delivery, now time.Time) {
	wait := c.pacer.next(d.msg.Tenant, c.departures, now)
	if d.msg.Deliveries < maxDelayedTimes && c.pacer.away(now) < int(c.maxAway.Load()) {
		c.pacer.leave(now, wait)
		c.handBack(d, wait, OutcomeDelay)
		return
	}
	if c.movable(d) {
		c.postpone(d, now.Add(wait))
		return
	}
	c.handBack(d, wait, OutcomeDelay)
}

// pacedHandBack hands back what can not be moved, until its queue should have room.
func (c *Consumer) pacedHandBack(d *delivery, now time.Time) {
	wait := c.pacer.next(d.msg.Tenant, c.departures, now)
	c.pacer.leave(now, wait)
	c.handBack(d, wait, OutcomeDelay)
}

// departures is how often a message of a tenant leaves its queue, as measured, but
// never more often than the workers together could take one; and how long it takes
// until half of what is queued has left.
func (c *Consumer) departures(tenant string) (every, first time.Duration) {
	stat, _ := c.queues.Tenant(tenant)
	every = max(stat.Interval, stat.Cost/time.Duration(c.live.Load().Workers), time.Microsecond)
	every = min(every, maxDelay)
	return every, max(time.Duration(stat.Queued/2)*every, minDelay)
}
