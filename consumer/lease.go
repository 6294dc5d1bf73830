package consumer

import (
	"context"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
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
// mu guards every delivery's lease and the index. It is never held during I/O.
type leases struct {
	wait   time.Duration // AckWait
	margin time.Duration // how much earlier than AckWait we give up

	mu   sync.Mutex
	held map[leaseKey]*delivery

	extended, lost counter
}

type leaseKey struct {
	lane     *lane
	sequence uint64
}

func newLeases(wait time.Duration) *leases {
	return &leases{
		wait:   wait,
		margin: min(wait/10, 2*time.Second),
		held:   make(map[leaseKey]*delivery),
	}
}

// add takes d in. It reports false if this process holds that message already: the
// server gave it out again while we had it. Then the one that is held takes over the
// new delivery's ack subject and lease, and d is to be forgotten: one process never
// runs a message twice at once.
func (ls *leases) add(d *delivery, reply string, start time.Time) bool {
	key := leaseKey{d.lane, d.source.sequence}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if old := ls.held[key]; old != nil && !old.lease.void {
		old.lease = lease{reply: reply, start: start}
		return false
	}
	d.lease = lease{reply: reply, start: start}
	ls.held[key] = d
	return true
}

// remove lets d go and returns its lease as it was.
func (ls *leases) remove(d *delivery) lease {
	key := leaseKey{d.lane, d.source.sequence}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if ls.held[key] == d {
		delete(ls.held, key)
	}
	return d.lease
}

// state returns whether the lease of d was lost or voided.
func (ls *leases) state(d *delivery) (lost, void bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	return d.lease.lost, d.lease.void
}

// void says that the messages held of a lane are no longer those of its consumer:
// the stream was deleted and made again, so that an ack of theirs would settle
// another message that has their sequence now.
func (ls *leases) void(l *lane) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for key, d := range ls.held {
		if key.lane == l {
			d.lease.void = true
			delete(ls.held, key)
		}
	}
}

// each calls f for every held delivery with the lock held; f must be quick.
func (ls *leases) each(f func(d *delivery)) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, d := range ls.held {
		f(d)
	}
}

// tick is how often leases are looked at.
func (ls *leases) tick() time.Duration { return ls.wait / 10 }

// renew tells the server once about every message that is held for a third of
// AckWait or longer, and gives up those whose time has run out.
func (ls *leases) renew(ctx context.Context, nc *nats.Conn, now time.Time) {
	due, lost := ls.sort(now)
	for _, d := range lost {
		d.run.end(ErrLeaseLost)
	}
	if len(due) == 0 || !nc.IsConnected() {
		return
	}
	for _, e := range due {
		if nc.Publish(e.reply, wireInProgress) != nil {
			return
		}
	}
	ctx, cancel := context.WithTimeout(ctx, ls.wait/6)
	defer cancel()
	if nc.FlushWithContext(ctx) != nil {
		return // not known to have arrived: the old deadlines stand
	}
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, e := range due {
		if e.d.lease.reply == e.reply && !e.d.lease.lost {
			e.d.lease.start = now
		}
	}
	ls.extended.Add(uint64(len(due)))
}

// extension is a lease that is to be extended, as it was when it was looked at.
type extension struct {
	d     *delivery
	reply string
}

// sort returns the deliveries whose lease should be extended, and marks and returns
// those whose lease has run out.
func (ls *leases) sort(now time.Time) (due []extension, lost []*delivery) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, d := range ls.held {
		age := now.Sub(d.lease.start)
		switch {
		case d.lease.lost:
		case age >= ls.wait-ls.margin:
			d.lease.lost = true
			lost = append(lost, d)
		case age >= ls.wait/3:
			due = append(due, extension{d, d.lease.reply})
		}
	}
	ls.lost.Add(uint64(len(lost)))
	return due, lost
}
