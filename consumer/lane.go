package consumer

import (
	"context"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
)

// The bounds of a pull request.
const (
	slotsPerLane   = 2        // requests in flight: while one fills, the other is parked
	maxBatch       = 512      // messages of one request
	maxPullBytes   = 8 << 20  // bytes of one request; the server cuts clients at 64 MiB
	maxLargeBytes  = 32 << 20 // of a request for one message that is larger than maxPullBytes
	goodBatch      = 64       // what a request should be worth while another is in flight
	minBatch       = 8        // below this it is cheaper to wait for more credit
	maxExpires     = 10 * time.Second
	statusHeadroom = 256 // places of the inbox channel that are not for messages
	pauseIdle      = 20 * time.Millisecond
	pauseBacklog   = 2 * time.Second
	awaitAtMost    = 4 * time.Second
	markerTimeout  = 5 * time.Second // for a marker to come back
	resumeMin      = 50 * time.Millisecond
	resumeMax      = 5 * time.Second
)

// lane is one JetStream consumer and its pull loop. Its goroutine, [lane.run], owns
// all fields but those said to be shared.
type lane struct {
	c        *Consumer
	nc       *nats.Conn
	kind     Lane
	stream   string
	consumer string
	subject  string // where pull requests go

	in      chan *nats.Msg // messages, statuses and markers of all subscriptions
	wakes   chan struct{}
	control *nats.Subscription // markers
	marks   string             // the subject of markers, less their number
	marked  uint64

	slots   [slotsPerLane]slot
	fresh   tidings // not yet in state
	dropped []droppedSlot
	limits  pullLimits
	mix     mix
	needs   int64 // max_bytes that the next request must have at least; 0: any

	heaviness float64 // bytes that messages take lately, for each on the wire; at least 1
	typical   float64 // bytes that one message takes lately; 0: none came yet

	failures int       // requests lost since the last sign of life
	notUntil time.Time // no request before this
	trickled time.Time // the last request while no downstream took anything

	budget    budget      // shared
	held      heldTable   // shared; guarded by leases.mu
	suspended atomic.Bool // shared: the consumer is gone, and what has its name next may be another
	state     laneState   // shared
	repaired  chan struct{}
	flow      *flow     // of an overflow lane
	made      time.Time // when its consumer was created; guarded by keeper.mu
	broken    bool      // waits for repaired
}

// pullLimits are what a request may ask for; the consumer's own limits lower them.
type pullLimits struct {
	batch   int
	bytes   int64
	expires time.Duration
}

// tidings are what the messages of one take tell of the lane: told once, as what others
// read is dear to write.
type tidings struct {
	pulled, redelivered int
	pending             uint64 // of the last message
}

// tell puts what came since the last time into what others read.
func (l *lane) tell(now time.Time) {
	f := &l.fresh
	if f.pulled > 0 {
		l.state.pulled.Add(uint64(f.pulled))
		l.state.redelivered.Add(uint64(f.redelivered))
		l.state.ackPending.Add(int64(f.pulled - f.redelivered))
		l.state.pending.Store(f.pending)
		l.state.lastMessage.Store(now.UnixNano())
	}
	*f = tidings{}
}

// laneState is what a lane tells of itself.
type laneState struct {
	pulled, redelivered counter
	resets              counter
	pending             atomic.Uint64
	ackPending          atomic.Int64 // as last surveyed, and what this process did since
	requested           atomic.Int64
	batch               atomic.Int64
	lastMessage         atomic.Int64 // unix nanoseconds
	mu                  sync.Mutex
	paused              PauseReason
	lastError           string
	stuckSince          time.Time // no sign of life since then
}

func newLane(c *Consumer, kind Lane, stream, consumer string, messages, bytes int64) *lane {
	l := &lane{
		c: c, nc: c.nc, kind: kind, stream: stream, consumer: consumer,
		subject:  c.apiPrefix + "CONSUMER.MSG.NEXT." + stream + "." + consumer,
		in:       make(chan *nats.Msg, int(messages)+statusHeadroom),
		wakes:    make(chan struct{}, 1),
		repaired: make(chan struct{}, 1),
		limits: pullLimits{
			batch:   min(maxBatch, int(messages)),
			bytes:   maxPullBytes,
			expires: min(maxExpires, c.cfg.AckWait/3),
		},
	}
	l.heaviness = heaviest
	l.held = newHeldTable(messages)
	l.budget.maxMessages, l.budget.maxBytes, l.budget.wake = messages, bytes, l.wake
	return l
}

// wake makes the lane look whether it may pull. It never blocks.
func (l *lane) wake() {
	select {
	case l.wakes <- struct{}{}:
	default:
	}
}

// open subscribes.
func (l *lane) open() error {
	l.marks = l.nc.NewInbox() + "."
	var err error
	if l.control, err = l.nc.ChanSubscribe(l.marks+"*", l.in); err != nil {
		return fmt.Errorf("consumer: lane %s: subscribe: %w", l.kind, err)
	}
	for i := range l.slots {
		if err := l.slots[i].open(l); err != nil {
			return err
		}
	}
	return nil
}

// close ends the subscriptions of a lane that never ran.
func (l *lane) close() {
	if l.control != nil {
		_ = l.control.Unsubscribe()
	}
	for i := range l.slots {
		if l.slots[i].sub != nil {
			_ = l.slots[i].sub.Unsubscribe()
		}
	}
}

// run pulls until ctx is done, then cancels what is in flight, takes what still
// arrives, and returns.
func (l *lane) run(ctx context.Context) {
	tick := time.NewTicker(l.limits.expires / 8)
	defer tick.Stop()
	reconnected := l.nc.StatusChanged(nats.CONNECTED, nats.CLOSED)
	defer l.nc.RemoveStatusListener(reconnected)
	for {
		l.takeWaiting()
		now := time.Now()
		if l.kind == LaneMain {
			l.c.makeRoom(now)
		}
		l.pull(now)
		select {
		case m := <-l.in:
			l.take(m)
		case <-l.wakes:
		case <-l.repaired:
			l.mend()
		case now := <-tick.C:
			l.expire(now)
		case <-reconnected:
			l.reconnect()
		case <-ctx.Done():
			l.stop()
			return
		}
	}
}

// takeRounds is how often in a row the lane looks for messages alone.
const takeRounds = 64

// takeWaiting takes what is there already: a look at one channel costs a fraction of a
// look at all, and a message that others bring while the lane lets them run once costs
// no wake-up.
func (l *lane) takeWaiting() {
	lingered := false
	for range takeRounds {
		select {
		case m := <-l.in:
			l.take(m)
			l.pull(time.Now())
			lingered = false
		default:
			if lingered {
				return
			}
			runtime.Gosched()
			lingered = true
		}
	}
}

// take receives m and whatever has arrived with it.
func (l *lane) take(m *nats.Msg) {
	now := time.Now()
	l.receive(m, now)
	for range len(l.in) {
		l.receive(<-l.in, now)
	}
	l.tell(now)
}

// receive is one message, status or marker.
func (l *lane) receive(m *nats.Msg, now time.Time) {
	if m.Sub == l.control {
		l.forget(m.Subject)
		return
	}
	s := l.slotOf(m.Sub)
	if s == nil {
		if isDelivery(m) { // of a subscription forgotten too early: it still counts
			l.budget.reserve(1, int64(m.Size()))
			l.c.admit(l, m, now, now.Add(-l.limits.expires))
		}
		return
	}
	s.alive = now
	if !isDelivery(m) {
		l.status(s, m, now)
		return
	}
	l.alive()
	l.needs = 0
	start := s.sentAt
	l.arrive(s, int64(m.Size()))
	l.c.admit(l, m, now, start)
}

// reconnect cancels every request: some servers keep them across a reconnect and
// some do not, and a request that is counted as lost but answered would let in more
// than was reserved.
func (l *lane) reconnect() {
	now := time.Now()
	for i := range l.slots {
		if l.slots[i].messages > 0 {
			l.drop(&l.slots[i], now)
		}
	}
	for i := range l.dropped { // their ends and markers may have been lost with the connection
		_ = l.dropped[i].sub.Unsubscribe()
		l.mark(l.dropped[i].marker)
	}
	l.notUntil = time.Time{}
	l.state.mu.Lock()
	defer l.state.mu.Unlock()
	if !l.state.stuckSince.IsZero() {
		l.state.stuckSince = now // who was away could not answer
	}
}

// await takes in the answers to requests that are being answered. What a server sends
// while the interest in its inbox ends is delivered to nobody and has to come again; so a
// request is cancelled in a pause: a short one if there is nothing to send, and else one so
// long that the server cannot be about to.
func (l *lane) await() {
	pause := func() time.Duration {
		if l.state.pending.Load() > 0 {
			return pauseBacklog
		}
		return pauseIdle
	}
	quiet, enough := time.NewTimer(pause()), time.NewTimer(awaitAtMost)
	defer quiet.Stop()
	defer enough.Stop()
	for l.asking() && l.nc.IsConnected() {
		select {
		case m := <-l.in:
			before := l.state.pulled.Load()
			l.take(m)
			if l.state.pulled.Load() > before {
				quiet.Reset(pause())
			}
		case <-quiet.C:
			return
		case <-enough.C:
			return
		}
	}
}

// asking reports whether a request is in flight.
func (l *lane) asking() bool {
	for i := range l.slots {
		if l.slots[i].messages > 0 {
			return true
		}
	}
	return false
}

// stop ends the requests and takes in what was on its way.
func (l *lane) stop() {
	l.await()
	now := time.Now()
	for i := range l.slots {
		l.cancel(&l.slots[i], now)
	}
	deadline := time.NewTimer(markerTimeout)
	defer deadline.Stop()
	for len(l.dropped) > 0 && l.nc.IsConnected() {
		select {
		case m := <-l.in:
			l.take(m)
		case <-deadline.C:
			l.forget(l.marks + strconv.FormatUint(l.marked, 10))
		}
	}
	for len(l.in) > 0 {
		l.take(<-l.in)
	}
	l.forget(l.marks + strconv.FormatUint(l.marked, 10))
	_ = l.control.Unsubscribe()
}
