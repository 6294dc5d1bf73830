package consumer

import (
	"cmp"
	"slices"
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

// makeRoom moves queues out of the way that cannot run now, the largest first, when they hold
// five eighths of what may wait, until they hold half of it: their downstream broke, say, after
// they were filled. Else those that can run would have what is left. It is called by the main
// lane alone, so that nothing newer of these queues passes by meanwhile.
func (c *Consumer) makeRoom(now time.Time) {
	l := c.live.Load()
	if l.Tenants.OnOverflow == OverflowHold || now.Before(c.roomAgain) {
		return // hold gives up just this
	}
	most := c.cfg.Buffer.soft(l.Workers)
	items, bytes := c.queues.Blocked()
	if items <= most.Messages/8*5 && bytes <= most.Bytes/8*5 {
		return
	}
	c.roomAgain = now.Add(makeRoomEvery)
	for _, b := range c.blockedQueues() {
		if items <= most.Messages/2 && bytes <= most.Bytes/2 {
			return
		}
		if c.overflowPolicy(b.tenant) != OverflowSpill {
			continue // what was accepted is not dropped, nor sent round, for want of room
		}
		c.moveOut(b, now)
		items, bytes = c.queues.Blocked()
	}
}

// makeRoomEvery is how long it takes at least until the queues are looked at again: what is
// left may have to stay.
const makeRoomEvery = 100 * time.Millisecond

// blockedQueue is a queue that cannot run now.
type blockedQueue struct {
	tenant, downstream string
	items              int
	bytes              int64
}

// blockedQueues returns the queues that cannot run now, the largest first.
func (c *Consumer) blockedQueues() []blockedQueue {
	var all []blockedQueue
	for tenant, stat := range c.queues.All() {
		if tenant == suspectTenant {
			continue
		}
		for downstream, q := range stat.Classes() {
			switch q.Waits {
			case tenants.WaitPaused, tenants.WaitRate, tenants.WaitDelayed, tenants.WaitClosed:
				all = append(all, blockedQueue{tenant, downstream, q.Queued, q.Bytes})
			case "", tenants.WaitCap, tenants.WaitLimit, tenants.WaitTurn, tenants.WaitWorker: // it goes on
			}
		}
	}
	slices.SortFunc(all, func(a, b blockedQueue) int { return cmp.Compare(b.items, a.items) })
	return all
}
