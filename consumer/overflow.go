package consumer

import (
	"context"
	"time"

	"github.com/spillwaymq/spillway/internal/envelope"
	"github.com/spillwaymq/spillway/tenants"
)

// open lets lanes be started, by start, and starts those that are wanted.
func (s *spillway) open(start func(l *lane, ended func()) (stop func())) {
	s.mu.Lock()
	s.start = start
	flows := s.all()
	s.mu.Unlock()
	for _, f := range flows {
		s.serve(f)
	}
}

// close keeps lanes from being started.
func (s *spillway) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.start = nil
}

// all returns the flows. It requires that mu is held.
func (s *spillway) all() []*flow {
	flows := make([]*flow, 0, len(s.flows))
	for _, f := range s.flows {
		flows = append(flows, f)
	}
	return flows
}

// lanes returns the overflow lanes that run.
func (s *spillway) lanes() []*lane {
	s.mu.Lock()
	defer s.mu.Unlock()
	lanes := make([]*lane, 0, len(s.running))
	for f := range s.running {
		lanes = append(lanes, f.lane)
	}
	return lanes
}

// wake makes the overflow lanes look whether they may pull.
func (s *spillway) wake() {
	for _, l := range s.lanes() {
		l.wake()
	}
}

// discover looks for overflow in the stream: of before this process started, and of
// others. An Unmanaged Consumer serves what is there as long as the consumers of its lanes
// are.
func (s *spillway) discover(ctx context.Context) error {
	s.askVolumes()
	found, err := topology{s.c}.spilled(ctx)
	if err != nil {
		return err
	}
	s.mu.Lock()
	for subject := range found.counts {
		if key, ok := envelope.ParseSpillSubject(s.c.cfg.Overflow.Stream, s.c.cfg.Durable, subject); ok {
			s.get(key)
		}
	}
	flows := s.all()
	for _, f := range flows {
		s.surveyed(f, found.counts[f.subject])
	}
	s.correctVolumes(found)
	s.mu.Unlock()
	for _, f := range flows {
		s.serve(f)
	}
	return nil
}

// surveyed takes in how many messages of f are in the stream, those that are held
// included. It requires that mu is held.
func (s *spillway) surveyed(f *flow, stored uint64) {
	f.stored = stored
	var here uint64
	if f.lane != nil {
		here = s.c.leases.count(f.lane)
	}
	if stored > here {
		f.dry = false
		if f.lane == nil && f.mode == flowCalm {
			s.set(f, flowSpilling) // what is new goes behind it
		}
	}
}

// The times between two looks for overflow in the stream.
const (
	spillLookSoon = 5 * time.Second  // while there is any: others may have died with some
	spillLook     = 30 * time.Second // while there is none
)

// due reports whether to look, when the last look was that long ago.
func (s *spillway) due(since time.Duration) bool {
	if since >= spillLook {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.flows {
		if f.stored > 0 || f.mode != flowCalm {
			return true
		}
	}
	return false
}

// more notes that the server has something for the lane of f.
func (s *spillway) more(f *flow) {
	s.mu.Lock()
	f.dry = false
	s.mu.Unlock()
	s.serve(f)
}

// unserved returns how many messages are in overflows that no lane works on.
func (s *spillway) unserved() (n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.flows {
		if !f.granted {
			n += f.stored
		}
	}
	return n
}

// overflow returns what each tenant has in overflows: on its way there, in the stream,
// and waiting behind.
func (s *spillway) overflow() map[string]uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]uint64, len(s.flows))
	for _, f := range s.flows {
		tenant, _, ok := f.names()
		if !ok {
			tenant = f.key.Tenant
		}
		n := f.stored
		if f.lane != nil {
			n = f.lane.state.pending.Load()
		}
		if n += uint64(f.unconfirmed + len(f.behind)); n > 0 {
			all[tenant] += n
		}
	}
	return all
}

// newOverflowLane makes the lane of f, and lets leases know it.
func (c *Consumer) newOverflowLane(f *flow) *lane {
	messages := min(int64(c.live.Load().Tenants.Queue), c.spillBudget.maxMessages)
	l := newLane(c, LaneOverflow, c.cfg.Overflow.Stream,
		f.key.Consumer(c.cfg.Durable), messages, c.spillBudget.maxBytes)
	l.flow = f
	l.broken = true // until the keeper has made its consumer
	l.budget.group = &c.spillBudget
	c.leases.employ(l)
	return l
}

// awayFor is how long a lane does not ask for what was handed back, so that it is there again:
// what is behind it would come first.
const awayFor = 3 * handBackDelay

// handedBack notes that n messages of f are about to be handed back: they are overflow again.
func (s *spillway) handedBack(f *flow, n int, now time.Time) {
	s.mu.Lock()
	f.away += n
	if f.mode == flowCalm {
		s.set(f, flowSpilling)
	}
	f.dry = false
	f.confirmed++ // an answer that there is nothing may be from before
	f.notBefore = now.Add(awayFor)
	s.mu.Unlock()
	s.c.alarms.after(awayFor, func() { s.serve(f) })
}

// asked notes that the lane of f has queued all that it received, and has asked for more, or
// has not.
func (s *spillway) asked(f *flow) {
	s.mu.Lock()
	f.asking = f.lane.state.requested.Load() > 0
	s.mu.Unlock()
}

// reborn forgets which copies were stored and came back: their stream is another now.
func (s *spillway) reborn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.flows {
		f.last, f.seen, f.away = 0, 0, 0
	}
}

// room returns what the queue of f takes now, and why nothing if that is so.
func (s *spillway) room(f *flow) (tenants.Room, PauseReason) {
	s.mu.Lock()
	nothing := f.dry || f.waits() || time.Now().Before(f.notBefore)
	f.asking = f.asking || !nothing
	s.mu.Unlock()
	if nothing {
		return tenants.Room{}, PauseEmpty
	}
	tenant, downstream, ok := f.names()
	if !ok {
		most := int(f.lane.budget.maxMessages)
		return tenants.Room{Items: most, High: most}, ""
	}
	r := s.c.queues.Room(tenant, downstream)
	if r.Over {
		return r, PauseQueue
	}
	return r, ""
}

// overflowCredit is the credit of an overflow lane: exactly what its queue has room for, so
// that the size of its requests carries the backpressure of one tenant to the server.
func (l *lane) overflowCredit() (batch int, bytes int64) {
	r, reason := l.c.spillway.room(l.flow)
	if reason != "" || l.state.requested.Load() > 0 {
		return 0, 0
	}
	own, _ := l.budget.own()
	shared, free := l.budget.group.free()
	high := min(int64(r.High), l.budget.maxMessages)
	floor := max(min(high/4, goodBatch), 1)
	if shared < floor { // other overflows have it all
		return l.awaitOthers(max(floor, shared+1))
	}
	if free == 0 {
		l.awaiting(l.budget.awaitBytes())
		return 0, 0
	}
	room := min(own, int64(r.Items))
	if room < floor && own < l.budget.maxMessages { // until enough of what came is settled
		return l.waitFor(min(own+floor-room, l.budget.maxMessages))
	}
	if l.needs > 0 {
		return l.creditForLarge(free)
	}
	batch = int(min(room, shared, int64(l.limits.batch)))
	return batch, l.wireBytes(l.overflowBytes(batch, free))
}

// minOverflowBytes is how many bytes are asked for in an overflow at least, if there are.
const minOverflowBytes = 64 << 10

// overflowBytes is how much of what is free is asked for with so many messages: twice what
// they take typically. All overflows share what is free, and many ask at once.
func (l *lane) overflowBytes(batch int, free int64) int64 {
	want := free / 4
	if l.typical > 0 {
		want = int64(2 * float64(batch) * l.typical)
	}
	return min(max(want, minOverflowBytes), free)
}

// awaitOthers makes the lane wake when the other lanes have left so many messages: those of
// overflows, or the main lane, whichever has too much.
func (l *lane) awaitOthers(messages int64) (int, int64) {
	g := l.budget.group
	if own, _ := g.own(); own >= messages {
		g = g.group
	}
	l.awaiting(g.await(messages))
	return 0, 0
}

// reserved is what the main lane leaves of the shared budget for what comes back from
// overflows, while there is any.
func (s *spillway) reserved() (messages, bytes int64) {
	if s.active.Load() == 0 {
		return 0, 0
	}
	return s.c.spillBudget.own()
}

// receiveBack queues what comes back from the overflow. Its room was looked at before it
// was asked for.
func (c *Consumer) receiveBack(d *delivery, now time.Time) {
	if err := c.queues.PutAt(now, d.msg.Tenant, d.route.Downstream, d, d.size); err != nil {
		c.handBack(d, handBackDelay, OutcomeHandBack)
		return
	}
	c.spillway.arrived(d)
}

// arrived lets the flow of d return that has little left.
func (s *spillway) arrived(d *delivery) {
	f := d.lane.flow
	s.mu.Lock()
	f.seen = max(f.seen, d.source.sequence)
	if d.msg.Deliveries > 1 && f.away > 0 {
		f.away--
	}
	s.review(f)
	s.mu.Unlock()
}
