package consumer

import (
	"context"
	"slices"
	"sync"
	"time"
)

// lease is the part of a delivery that keeps it ours. It is guarded by leases.mu.
type lease struct {
	reply string    // where the delivery is acknowledged
	start time.Time // the server cannot have begun to count AckWait before this
	lost  bool      // AckWait may have passed: the message may be somebody else's now
	void  bool      // the message it was a delivery of is gone: nothing is sent for it
}

// leases are the messages that this process holds, and until when they are its own.
//
// A holder cannot learn from the server that it lost a message: InProgress is
// answered and a late ack settles, no matter who has it by then. So each lease has a
// deadline on the local clock, AckWait after the last moment at which the server
// cannot have started to count: when the pull was sent that the message answered, or
// when an InProgress was sent that was flushed since. What is past its deadline is
// neither handed back nor terminated; only a success is still acknowledged.
//
// mu guards every delivery's lease and the lanes' held tables. It is never held during
// I/O.
type leases struct {
	wait   time.Duration // AckWait
	margin time.Duration // how much earlier than AckWait we give up

	stream string // of the main lane

	mu     sync.Mutex
	lanes  []*lane // whose held tables mu guards; the main lane is the first
	copies copies

	extended, lost counter

	// reborn is called when a message shows that the stream is not the one it was.
	// It must not block.
	reborn func()
}

func newLeases(stream string, wait time.Duration) *leases {
	return &leases{
		stream: stream,
		copies: newCopies(),
		wait:   wait,
		margin: wait / 10,
		reborn: func() {},
	}
}

// add takes d in. It reports false if this process holds that message already: the
// server gave it out again while we had it. Then the one that is held takes over the
// new delivery's ack subject and lease, and d is to be forgotten: one process never
// runs a message twice at once. Another message of the same sequence is no such thing:
// it is of a stream that was made again under the name of the old.
func (ls *leases) add(d *delivery, reply string, start time.Time) bool {
	fresh, reborn := ls.addLocked(d, reply, start)
	if reborn {
		ls.reborn()
	}
	return fresh
}

func (ls *leases) addLocked(d *delivery, reply string, start time.Time) (fresh, reborn bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if old := d.lane.held.find(d.source.sequence); old != nil {
		if old.source.nanos == d.source.nanos {
			old.lease = lease{reply: reply, start: start}
			return false, false
		}
		ls.remove(old)
		old.lease.void, reborn = true, true
	}
	d.lease = lease{reply: reply, start: start}
	d.lane.held.insert(d)
	ls.copies.insert(d, ls.stream)
	return true, reborn
}

// remove takes d out of what is held. It requires that mu is held.
func (ls *leases) remove(d *delivery) {
	d.lane.held.remove(d)
	ls.copies.remove(d)
}

// settle lets the deliveries go that notes settle, and tells each note how its lease is.
func (ls *leases) settle(notes []note, now time.Time) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i := range notes {
		n := &notes[i]
		if !n.settles() {
			continue
		}
		ls.remove(n.d)
		if n.verb != verbAck { // an ack is sent whatever became of the lease
			ls.judge(n.d, now)
		}
		n.lease = n.d.lease
	}
}

// mayBeLost reports whether a lease can be lost at all so long after its message arrived.
// The lease began when the message was asked for, a third of AckWait earlier at most.
func (ls *leases) mayBeLost(waited time.Duration) bool { return waited > ls.wait/3 }

// isLost returns whether the lease of d was lost by now.
func (ls *leases) isLost(d *delivery, now time.Time) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.judge(d, now)
	return d.lease.lost
}

// judge marks the lease of d as lost if its deadline has passed, and reports whether
// it did so. It requires that mu is held.
func (ls *leases) judge(d *delivery, now time.Time) bool {
	if d.lease.lost || now.Sub(d.lease.start) < ls.wait-ls.margin {
		return false
	}
	d.lease.lost = true
	ls.lost.Add(1)
	return true
}

// employ adds a lane.
func (ls *leases) employ(l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	ls.lanes = append(ls.lanes, l)
}

// dismiss takes out a lane that receives nothing any more, if nothing of it is held.
func (ls *leases) dismiss(l *lane) bool {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for range l.held.all {
		return false
	}
	ls.lanes = slices.DeleteFunc(ls.lanes, func(o *lane) bool { return o == l })
	return true
}

// count returns how many messages of l are held.
func (ls *leases) count(l *lane) (n uint64) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for range l.held.all {
		n++
	}
	return n
}

// void says that the messages held of a stream that were published before created are
// no longer those of its consumers: the stream was deleted and made again then, so
// that an ack of theirs would settle another message that has their sequence now. A lane
// that has ended may hold some, too.
func (ls *leases) void(stream string, created time.Time) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.lanes {
		if l.stream != stream {
			continue
		}
		for d := range l.held.all {
			if d.source.published().Before(created) {
				d.lease.void = true
				ls.remove(d)
			}
		}
	}
}

// each calls f for every held delivery with the lock held; f must be quick.
func (ls *leases) each(f func(d *delivery)) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.lanes {
		for d := range l.held.all {
			f(d)
		}
	}
}

// tick is how often leases are looked at. With the margin, a tick and the flush of the
// tick before, a handler is told that its lease was lost before AckWait is over.
func (ls *leases) tick() time.Duration { return ls.wait / 40 }

// giveUp ends the runs of the messages whose time has run out.
func (ls *leases) giveUp(now time.Time) {
	var lost []*delivery
	ls.each(func(d *delivery) {
		if ls.judge(d, now) {
			lost = append(lost, d)
		}
	})
	for _, d := range lost {
		d.run().end(ErrLeaseLost)
	}
}

// due returns an extension for each lease that is older than a third of AckWait.
func (ls *leases) due(now time.Time) (extensions []note) {
	ls.each(func(d *delivery) {
		if !d.lease.lost && !d.settled.Load() && now.Sub(d.lease.start) >= ls.wait/3 {
			extensions = append(extensions, note{d: d, verb: verbExtend, lease: d.lease})
		}
	})
	return extensions
}

// extend notes that the server has had extensions, which were sent after now.
func (ls *leases) extend(extensions []note, now time.Time) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i := range extensions {
		n := &extensions[i]
		if n.d.lease.reply == n.lease.reply && !n.d.lease.lost && !n.d.settled.Load() { // if it was, maybe nothing was sent
			n.d.lease.start = now
		}
	}
	ls.extended.Add(uint64(len(extensions)))
}

// renewLeases extends every lease that is due. It may block, as sending may.
func (c *Consumer) renewLeases(ctx context.Context, now time.Time) {
	due := c.leases.due(now)
	if len(due) == 0 || !c.nc.IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, c.leases.wait/20)
	defer cancel()
	if c.extendAll(ctx, due) == nil { // else it is not known to have arrived: the old deadlines stand
		c.leases.extend(due, now)
	}
}
