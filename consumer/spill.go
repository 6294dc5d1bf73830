package consumer

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// A flow is what this process knows of the overflow of one queue.
//
//	calm      ──the queue sheds──────────────▶ spilling
//	spilling  ──what is left fits in──────────▶ returning
//	returning ──the overflow is empty─────────▶ calm
//	returning ──too many wait behind it───────▶ spilling
//
// While a flow spills, everything new of its queue is moved behind what was moved before,
// and the flow's lane brings it back as the queue empties: so the queue stays first in,
// first out. While it returns, what is new waits in this process behind what is still to
// come back, and moves no more.
//
// What has to leave a queue that has overflow already goes to the flow's front, which is a
// flow of its own: it comes back before anything of the rest.
type flow struct {
	key     flowKey
	subject string         // where its copies go
	policy  OverflowPolicy // of its tenant, as of
	asked   uint64         // the value of Consumer.policies then
	lane    *lane          // nil until it was needed
	portion *portion       // of its tenant
	rear    *flow          // of a front: what it goes before

	// Guarded by spillway.mu.
	mode        flowMode
	unconfirmed int         // copies on their way
	confirmed   uint64      // copies stored by this process so far
	last        uint64      // of their sequences
	lastAt      time.Time   // when it was stored
	seen        uint64      // the last of the sequences that came back here
	dry         bool        // the lane found nothing, and nothing was stored since
	notBefore   time.Time   // what was handed back is not there again
	behind      []*delivery // what is new while it returns
	releasing   bool        // behind is being queued, or moved: what is new waits until that is done
	idleSince   time.Time   // of a calm flow
	stored      uint64      // messages on its subject, as last surveyed
	shut        bool        // nothing new may go there: its lane is not ours to make
	granted     bool        // its lane runs
	leaving     bool        // its lane runs, and was told to end
	since       time.Time   // when it was granted a lane, or asked for one
	front       *flow       // what goes before it, or nil
	clearing    bool        // its queue is being moved out of the way
	asking      bool        // its lane may be about to ask, or to queue what it asked for
	away        int         // were handed back, and have not come again
	stop        func()      // ends the lane
}

// flowKey names a flow, by the tokens of its subject.
type flowKey = envelope.Spill

type flowMode uint8

const (
	flowCalm flowMode = iota
	flowSpilling
	flowReturning
)

// The bounds of the spillway.
const (
	maxOverflowLanes = 100         // of this process; each costs the server a consumer
	flowIdle         = time.Minute // after which a calm flow is forgotten, its lane with it
)

// spillway keeps the flows of all queues that overflow, or lately did.
//
// mu guards the fields below it and the state of the flows. It is not held while pushing,
// moving or settling.
type spillway struct {
	c *Consumer

	active atomic.Int32 // flows that are not calm: what is new need not look while there are none

	volume volume // of the stream

	mu       sync.Mutex
	flows    map[flowKey]*flow
	behind   behind                                    // all flows
	portions map[string]*portion                       // by the token of the tenant, of those that have flows
	limit    int64                                     // of the stream, in bytes; 0 or less: none
	line     []*flow                                   // want a lane, and there are too many
	running  map[*flow]struct{}                        // have a lane
	maxLanes int                                       // maxOverflowLanes
	start    func(l *lane, ended func()) (stop func()) // set while lanes may be started
}

func newSpillway(c *Consumer) spillway {
	return spillway{
		c:        c,
		flows:    make(map[flowKey]*flow),
		portions: make(map[string]*portion),
		running:  make(map[*flow]struct{}),
		maxLanes: maxOverflowLanes,
	}
}

func (c *Consumer) flowKeyOf(d *delivery) flowKey {
	return flowKey{Downstream: envelope.Token(d.route.Downstream), Tenant: envelope.Token(d.msg.Tenant)}
}

// get returns the flow of that key, and makes it. It requires that mu is held.
func (s *spillway) get(key flowKey) *flow {
	f := s.flows[key]
	if f == nil {
		f = &flow{
			key:       key,
			subject:   key.Subject(s.c.cfg.Overflow.Stream, s.c.cfg.Durable),
			portion:   s.portionOf(key.Tenant),
			shut:      s.c.cfg.Unmanaged,
			dry:       true,
			idleSince: time.Now(),
		}
		s.flows[key] = f
		if key.Front {
			key.Front = false
			f.rear = s.get(key)
			f.rear.front = f
		}
	}
	return f
}

// set changes the mode of f. It requires that mu is held.
func (s *spillway) set(f *flow, mode flowMode) {
	if f.mode == flowCalm && mode != flowCalm {
		s.active.Add(1)
	}
	if f.mode != flowCalm && mode == flowCalm {
		s.active.Add(-1)
		f.idleSince = time.Now()
	}
	f.mode = mode
	if r := f.rear; r != nil && mode != flowCalm && r.mode == flowCalm {
		r.dry = false          // until its lane finds that out
		s.set(r, flowSpilling) // what is new goes behind the front
	}
}

// A passage is where a new message goes.
type passage uint8

const (
	toQueue    passage = iota
	toOverflow         // behind what is there
	toWait             // it was taken: it waits behind what comes back
	toDelay            // behind what is there, where its tenant has its share
)

// follow decides where a new message goes whose queue may have overflow.
func (s *spillway) follow(d *delivery) (f *flow, to passage, first []*delivery) {
	if s.active.Load() == 0 {
		return nil, toQueue, nil
	}
	key := s.c.flowKeyOf(d)
	s.mu.Lock()
	defer s.mu.Unlock()
	f = s.flows[key]
	if f == nil || f.mode == flowCalm || f.shut || !s.c.movable(d) {
		return nil, toQueue, nil
	}
	if f.mode == flowReturning {
		if f.releasing || s.mayWait(f, d) {
			s.wait(f, d)
			return f, toWait, nil
		}
	}
	if !s.roomFor(f, d) {
		return f, toDelay, nil
	}
	if f.mode == flowReturning {
		first = s.takeBehind(f)
		s.set(f, flowSpilling)
	}
	s.depart(f, first...)
	s.depart(f, d)
	return f, toOverflow, first
}

// begin makes a flow spill, whose queue has just refused d. It is not begun if the
// tenant's policy is another, which is returned, or if d cannot be copied. If it is not
// since the tenant has its share of the overflow, f is returned with OverflowDelay.
func (s *spillway) begin(d *delivery, movable bool) (f *flow, policy OverflowPolicy) {
	key := s.c.flowKeyOf(d)
	s.mu.Lock()
	f = s.get(key)
	policy = f.policy
	asked, now := f.asked, s.c.policies.Load()
	s.mu.Unlock()
	if policy == "" || asked != now {
		policy = s.c.overflowPolicy(d.msg.Tenant)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	f = s.get(key) // it may have been forgotten meanwhile
	f.policy, f.asked = policy, now
	f.idleSince = time.Now()
	if policy == OverflowSpill && (!movable || f.shut) {
		policy = OverflowDelay
	}
	if policy != OverflowSpill {
		return nil, policy
	}
	if !s.roomFor(f, d) {
		return f, OverflowDelay
	}
	if f.mode == flowCalm {
		s.set(f, flowSpilling)
	}
	s.depart(f, d)
	return f, policy
}

// spill moves d to the overflow of f, which counts it already.
func (c *Consumer) spill(f *flow, d *delivery) {
	c.observers.shed(Shed{Tenant: d.msg.Tenant, Downstream: d.route.Downstream, Policy: OverflowSpill})
	header := c.copyHeader(d, d.msg.Header)
	envelope.SetAttempt(header, d.msg.Attempt, time.Time{})
	size := copySize(d)
	m := &move{d: d, subject: f.subject, header: header, data: d.msg.Data, size: d.size}
	m.done = func(err error) {
		if err == nil {
			c.ack(d, OutcomeSpill)
		}
		c.spillway.moved(f, size, m.stored)
		if err != nil {
			c.spillRefused(f, d, err)
		}
	}
	c.mover.submit(m)
}

// spillRefused is for a copy that the overflow has no room for: it is delayed.
func (c *Consumer) spillRefused(f *flow, d *delivery, err error) {
	if errors.Is(err, errMoverClosed) {
		c.handBack(d, handBackDelay, OutcomeHandBack)
		return
	}
	c.lastRefusal.Store(time.Now().UnixNano())
	c.logs.move.warn("the overflow takes no more: the message was handed back", "to", f.subject, "tenant", d.msg.Tenant,
		"stream", d.lane.stream, "sequence", d.source.sequence, "error", err)
	c.pacedHandBack(d, time.Now())
}

// moved notes that a copy of f, of size, was stored at a sequence, or, with 0, refused.
func (s *spillway) moved(f *flow, size int64, stored uint64) {
	s.mu.Lock()
	s.arrive(f, size, stored > 0)
	f.dry = false // if nothing was stored the lane finds that out, and the flow can end
	if stored > 0 {
		f.confirmed++
		f.last, f.lastAt = max(f.last, stored), time.Now()
		if f.lane != nil {
			f.lane.state.pending.Add(1) // until a message tells better
		} else {
			f.stored++
		}
	}
	s.review(f)
	s.mu.Unlock()
	s.serve(f)
}

// confirmedBy returns how many copies of f were confirmed so far.
func (s *spillway) confirmedBy(f *flow) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return f.confirmed
}

// review lets a flow return that has little left. It requires that mu is held.
func (s *spillway) review(f *flow) {
	if f.mode != flowSpilling || f.lane == nil || f.waits() {
		return
	}
	tenant, downstream, ok := f.names()
	if !ok {
		return
	}
	left := int64(f.lane.state.pending.Load()) + f.lane.state.requested.Load() + int64(f.unconfirmed)
	if r := s.c.queues.Room(tenant, downstream); !r.Over && left <= int64(r.Items) {
		s.set(f, flowReturning)
	}
}

// names are the queue that f is the overflow of, unless its tenant's name is too long to
// be read from its subject and no message of it was seen yet.
func (f *flow) names() (tenant, downstream string, ok bool) {
	tenant, ok1 := envelope.Name(f.key.Tenant)
	downstream, ok2 := envelope.Name(f.key.Downstream)
	return tenant, downstream, ok1 && ok2
}

// The server confirms a copy before the consumers of the stream know of it: it may say that
// there is nothing until then. What it was asked for again has come, or went to another
// process.
const (
	unseenAgain = 20 * time.Millisecond
	unseenFor   = time.Second
)

// empty notes that the lane of f asked, when asked copies had been confirmed, and there
// was nothing. What was stored since may be there now.
func (s *spillway) empty(f *flow, asked uint64) {
	s.mu.Lock()
	if f.confirmed != asked {
		s.mu.Unlock()
		f.lane.wake()
		return
	}
	if now := time.Now(); f.seen < f.last && now.Sub(f.lastAt) < unseenFor {
		f.notBefore = now.Add(unseenAgain)
		s.mu.Unlock()
		s.c.alarms.after(unseenAgain, func() { s.serve(f) })
		return
	}
	f.dry, f.away = true, 0
	f.lane.state.pending.Store(0)
	if f.waits() {
		f.dry = false // it is to be asked again, behind what goes before it
	}
	if f.unconfirmed > 0 || f.mode == flowCalm || f.waits() {
		s.mu.Unlock()
		return
	}
	s.set(f, flowReturning)
	s.mu.Unlock()
	s.release(f)
}
