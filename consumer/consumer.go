package consumer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
	"github.com/spillwaymq/spillway/tenants"
)

// Consumer pulls from JetStream and runs handlers. All its methods are safe for
// concurrent use.
type Consumer struct {
	cfg       fixed
	live      atomic.Pointer[live] // replaced by Reload alone
	mux       *Mux
	js        jetstream.JetStream
	nc        *nats.Conn
	apiPrefix string // of the subjects of the JetStream API
	log       *slog.Logger
	logs      *logs

	queues      *tenants.Queues[*delivery]
	leases      *leases
	outbox      outbox
	mover       *mover
	keeper      *keeper
	lanes       []*lane // main, retry and suspect
	spillway    spillway
	roomAgain   time.Time  // when makeRoom may look again; of the main lane
	reserving   sync.Mutex // one lane at a time looks at the shared budgets and takes of them
	shared      budget     // of the main lane and the overflow lanes
	spillBudget budget     // of the overflow lanes, a part of shared
	pacer       pacer
	alarms      alarms

	rates *tenantRates

	reloading turn          // of Reload
	policies  atomic.Uint64 // counts changes of how tenants are treated
	overrides overrides     // what SetTenant has set
	overseer  overseer      // follows what the processes of the durable have set
	staff     staff

	downstreams downstreams
	unrouted    counters[Outcome] // settled without a route
	noise       noise
	halted      atomic.Int32 // downstreams that their breaker or a rest keeps from work
	deadLetters counters[Reason]
	observers   observers // fixed when Run begins

	held          tally
	inFlight      atomic.Int64
	busySince     atomic.Int64 // since when a suspect waits for an idle worker; 0: none does
	source        atomic.Pointer[jetstream.StreamInfo]
	maxPayload    atomic.Int64 // of the server
	lastRefusal   atomic.Int64 // unix nanoseconds; when a copy was refused
	maxAway       atomic.Int64 // handed back at once: half of the main lane's MaxAckPending
	maxAckPending int          // of the account; 0: not known

	mu    sync.Mutex // guards state and changes of observers
	state State
	base  context.Context // the parent of all runs; set by Run
}

// New checks cfg and h and returns a Consumer. It does no I/O. If h is a *Mux, its
// routes decide; any other Handler takes every message.
func New(js jetstream.JetStream, cfg Config, h Handler) (*Consumer, error) {
	if js == nil || js.Conn() == nil {
		return nil, errors.New("consumer: New needs a JetStream context with a connection")
	}
	tenantGiven := cfg.Tenant != nil
	cfg = cfg.withDefaults()
	mux, muxErr := muxOf(h)
	if err := errors.Join(cfg.validate(), muxErr); err != nil {
		return nil, err
	}
	if err := cfg.checkUse(mux); err != nil {
		return nil, err
	}
	c := &Consumer{
		cfg: cfg.fixed(), js: js, nc: js.Conn(), apiPrefix: envelope.APIPrefix(js.Options()),
		log: cfg.Logger, logs: newLogs(cfg.Logger),
		leases: newLeases(cfg.Stream, cfg.AckWait), outbox: newOutbox(), held: newTally(), state: StateNew,
		deadLetters: newCounters(reasons), unrouted: newCounters(outcomes),
		reloading: newTurn(),
	}
	c.cfg.tenantGiven = tenantGiven
	c.live.Store(cfg.live(mux))
	c.staff.c, c.overseer = c, newOverseer(c)
	var err error
	if c.queues, err = c.newQueues(c.live.Load()); err != nil {
		return nil, err
	}
	c.rates = newTenantRates(c.sharedRate, c.cfg.Buffer, c.logs)
	if c.downstreams, err = c.newDownstreams(); err != nil {
		return nil, err
	}
	c.mux = mux.bind(c.downstreams)
	c.keeper = newKeeper(c)
	c.lanes = c.newLanes()
	c.leases.lanes = slices.Clone(c.lanes)
	c.spillway = newSpillway(c)
	c.mover = newMover(c.nc, c.wakeLanes)
	return c, nil
}

// muxOf returns h as routes.
func muxOf(h Handler) (*Mux, error) {
	switch h := h.(type) {
	case nil:
		return nil, errors.New("consumer: New needs a Handler")
	case *Mux:
		if h == nil {
			return nil, errors.New("consumer: New needs a Handler, got a nil *Mux")
		}
		return h, h.validate()
	default:
		m := new(Mux)
		m.Route(Route{Subject: ">", Handler: h})
		return m, m.validate()
	}
}

// holdWithin is for how long a queue that is at its high watermark and emptying fast
// keeps the pull waiting rather than shed. To hand back a message costs more than
// this, and nobody else waits longer for it.
const holdWithin = 5 * time.Millisecond

func (c *Consumer) newQueues(l *live) (*tenants.Queues[*delivery], error) {
	q, err := tenants.NewQueues[*delivery](tenants.Config{
		Messages:  c.cfg.Buffer.Messages,
		Bytes:     4 * c.cfg.Buffer.Bytes, // the lanes' budgets bound it; one message of each lane may exceed its own
		Soft:      c.cfg.Buffer.soft(l.Workers),
		Default:   l.Tenants.queuePolicy(c.cfg.Buffer.Bytes),
		PolicyFor: c.policyFor,
		OnRelief:  c.wakeLanes,
	})
	if err != nil {
		return nil, fmt.Errorf("consumer: %w", err)
	}
	return q, nil
}

// soft is what may wait: half of what the main lane and the overflow lanes share, as a part
// of the rest has to be free for what is asked for and for what is on its way out.
func (b Buffer) soft(workers int) tenants.Soft {
	messages, bytes := b.shared()
	return tenants.Soft{
		Delay: b.TargetDelay, Workers: workers,
		Messages: max(int(messages/2), 1), Bytes: bytes / 2,
	}
}

// queuePolicy is p as the queues understand it.
func (p TenantPolicy) queuePolicy(bytes int64) tenants.Policy {
	q := tenants.Policy{
		Queue: p.Queue, Bytes: bytes, High: p.High, Low: p.Low,
		Weight: p.Weight, MaxInFlight: p.MaxInFlight, Rate: tenants.Rate(p.Rate), SharedRate: p.SharedRate,
	}
	if p.OnOverflow == OverflowHold {
		q.Hold = true
	} else {
		q.HoldWithin = holdWithin
	}
	return q
}

// newLanes divides the buffer among the lanes: an eighth of it is for retries and one
// message for a suspect, whatever the main lane does. The rest is for that and for what
// comes back from overflows, which has three eighths while there is any.
func (c *Consumer) newLanes() []*lane {
	messages, bytes := int64(c.cfg.Buffer.Messages), c.cfg.Buffer.Bytes
	retry, spill := c.cfg.Buffer.retry(), max(messages*3/8, 1)
	c.shared.maxMessages, c.shared.maxBytes = c.cfg.Buffer.shared()
	c.shared.wake = c.wakeLanes
	c.spillBudget.maxMessages, c.spillBudget.maxBytes, c.spillBudget.wake = spill, bytes/16*6, c.spillway.wake
	c.spillBudget.group = &c.shared
	overflow, durable := c.cfg.Overflow.Stream, c.cfg.Durable
	main := newLane(c, LaneMain, c.cfg.Stream, durable, c.shared.maxMessages, c.shared.maxBytes)
	main.budget.group = &c.shared
	return []*lane{
		main,
		newLane(c, LaneRetry, overflow, envelope.RetryConsumer(durable), retry, bytes/16*2),
		newLane(c, LaneSuspect, overflow, envelope.SuspectConsumer(durable), 1, bytes/16),
	}
}

// retry is how many messages of b are the retry lane's.
func (b Buffer) retry() int64 { return max(int64(b.Messages)/8, 1) }

// shared is what of b is the main lane's and the overflow lanes'.
func (b Buffer) shared() (messages, bytes int64) {
	return int64(b.Messages) - b.retry() - 1, b.Bytes / 16 * 13
}

func (c *Consumer) suspectLane() *lane { return c.lanes[len(c.lanes)-1] }

func (c *Consumer) wakeLanes() {
	for _, l := range c.lanes {
		l.wake()
	}
	c.spillway.wake()
}

// Observe adds an Observer. It must be called before Run.
func (c *Consumer) Observe(o Observer) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != StateNew {
		return errors.New("consumer: Observe must be called before Run")
	}
	c.observers = append(c.observers, o)
	return nil
}

func (c *Consumer) setState(s State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.state = s
}

func (c *Consumer) getState() State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

// allLanes are the lanes that run.
func (c *Consumer) allLanes() []*lane { return slices.Concat(c.lanes, c.spillway.lanes()) }

// stuckLane is for how long a lane may show no sign of life before the Consumer is
// not ready.
const stuckLane = 15 * time.Second

// Ready returns nil while messages flow or could, else why not.
func (c *Consumer) Ready() error {
	if state := c.getState(); state != StateRunning {
		return fmt.Errorf("consumer: %s", state)
	}
	if status := c.nc.Status(); status != nats.CONNECTED {
		return fmt.Errorf("consumer: NATS is %s", strings.ToLower(status.String()))
	}
	if err := c.keeper.err(); err != nil {
		return err
	}
	now := time.Now()
	for _, l := range c.lanes {
		if since, lastError := l.stuck(); !since.IsZero() && now.Sub(since) > stuckLane {
			return fmt.Errorf("consumer: lane %s has not been answered for %v: %s", l.kind, now.Sub(since).Round(time.Second), lastError)
		}
	}
	return nil
}

// stuck returns since when the lane shows no sign of life, and what was last said.
func (l *lane) stuck() (since time.Time, lastError string) {
	l.state.mu.Lock()
	defer l.state.mu.Unlock()
	return l.state.stuckSince, l.state.lastError
}
