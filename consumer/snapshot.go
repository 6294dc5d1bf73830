package consumer

import (
	"cmp"
	"slices"
	"time"

	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/tenants"
)

// Snapshot is the state of a Consumer at one moment: plain data, the caller's to
// keep. Counters only ever rise.
type Snapshot struct {
	At       time.Time `json:"at"`
	Stream   string    `json:"stream"`
	Durable  string    `json:"durable"`
	State    State     `json:"state"`
	NotReady string    `json:"not_ready,omitempty"` // why Ready is not nil

	Workers  int `json:"workers"`
	InFlight int `json:"in_flight"` // handlers running
	Stuck    int `json:"stuck"`     // handlers whose context ended and that have not returned

	Held         int   `json:"held"` // messages this process holds, waiting or running
	HeldBytes    int64 `json:"held_bytes"`
	HeldMax      int   `json:"held_max"` // Buffer.Messages
	HeldBytesMax int64 `json:"held_bytes_max"`

	Backlog    uint64        `json:"backlog"`       // what the durable still has to do, in all processes
	OldestAge  time.Duration `json:"oldest_age_ns"` // age of the oldest message that this process holds
	Moving     int           `json:"moving"`        // copies not yet confirmed
	MoveWindow int           `json:"move_window"`

	LeasesExtended uint64 `json:"leases_extended"`
	LeasesLost     uint64 `json:"leases_lost"`

	Lanes       []LaneState       `json:"lanes"`
	Downstreams []DownstreamState `json:"downstreams"`
	Tenants     []TenantState     `json:"tenants"`
	DeadLetters map[Reason]uint64 `json:"dead_letters"`

	// StuckHandlers are those of Stuck that are so longest, 100 at most.
	StuckHandlers []StuckHandler `json:"stuck_handlers"`
}

// State is where a Consumer is in its life.
type State string

// The states, in their order.
const (
	StateNew      State = "new"
	StateStarting State = "starting"
	StateRunning  State = "running"
	StateDraining State = "draining"
	StateStopped  State = "stopped"
)

// LaneState is one lane. Pending is what the server told with the last message or
// survey; it is not polled.
type LaneState struct {
	Lane        Lane        `json:"lane"`
	Consumer    string      `json:"consumer"`
	Pulled      uint64      `json:"pulled"`           // messages received
	Redelivered uint64      `json:"redelivered"`      // of these, delivered before
	Pending     uint64      `json:"pending"`          // in the stream, not delivered yet
	AckPending  uint64      `json:"ack_pending"`      // delivered and not settled: in all processes as last surveyed, in this one since
	Requested   int         `json:"requested"`        // asked for and not yet received
	Credit      int         `json:"credit"`           // how much more it may ask for
	Batch       int         `json:"batch"`            // size of the last pull request
	Paused      PauseReason `json:"paused,omitempty"` // why it does not pull; "": it may
	Resets      uint64      `json:"resets"`
	LastError   string      `json:"last_error,omitempty"`
	LastMessage time.Time   `json:"last_message,omitzero"`
}

// TenantState is one tenant that has, or lately had, messages here.
type TenantState struct {
	Tenant      string        `json:"tenant"`
	Queued      int           `json:"queued"`
	Bytes       int64         `json:"bytes"`
	Fullest     int           `json:"fullest"`    // messages in its fullest queue; it has one for each downstream
	QueueMax    int           `json:"queue_max"`  // most messages in each of its queues
	QueueHigh   int           `json:"queue_high"` // at how many one of them begins to shed
	InFlight    int           `json:"in_flight"`
	Weight      float64       `json:"weight"`
	MaxInFlight int           `json:"max_in_flight"`
	Rate        string        `json:"rate,omitempty"` // like 100/s; "": no bound
	Shedding    bool          `json:"shedding"`
	Finished    uint64        `json:"finished"`
	WorkerTime  time.Duration `json:"worker_time_ns"`
	Overflow    uint64        `json:"overflow"`          // messages in its overflow: on their way there, in the stream, and waiting behind it
	Oldest      time.Time     `json:"oldest,omitzero"`   // arrival of the oldest queued message
	Waiting     *Waiting      `json:"waiting,omitempty"` // nil: nothing of it waits
	Noisy       bool          `json:"noisy"`             // see Observer.Noisy

	RateShared   bool `json:"rate_shared"`   // Rate holds for all processes together,
	RateDegraded bool `json:"rate_degraded"` // but is decided without the others at present
}

// Snapshot returns the present state. It is made from counters and a pass over what
// is held, and asks the server nothing.
func (c *Consumer) Snapshot() Snapshot {
	now := time.Now()
	s := Snapshot{
		At:             now,
		Stream:         c.cfg.Stream,
		Durable:        c.cfg.Durable,
		State:          c.getState(),
		Workers:        c.cfg.Workers,
		InFlight:       int(c.inFlight.Load()),
		Held:           int(c.held.Load()),
		HeldMax:        c.cfg.Buffer.Messages,
		HeldBytesMax:   c.cfg.Buffer.Bytes,
		Moving:         c.mover.load(),
		MoveWindow:     moveWindow,
		LeasesExtended: c.leases.extended.Load(),
		LeasesLost:     c.leases.lost.Load(),
		DeadLetters:    c.deadLetters.snapshot(),
		Lanes:          make([]LaneState, 0, len(c.lanes)),
	}
	if err := c.Ready(); err != nil {
		s.NotReady = err.Error()
	}
	held := c.surveyHeld(now)
	s.HeldBytes, s.Stuck, s.StuckHandlers, s.OldestAge = held.bytes, held.stuck, held.list, held.oldest
	for _, l := range c.allLanes() {
		state := l.snapshot()
		s.Lanes = append(s.Lanes, state)
		s.Backlog += state.Pending + max(state.AckPending, held.byLane[l.kind])
	}
	s.Backlog += c.spillway.unserved()
	s.Downstreams = c.downstreamStates(now)
	s.Tenants = c.tenantStates()
	return s
}

// heldSurvey is what a pass over everything held tells.
type heldSurvey struct {
	bytes  int64
	stuck  int
	list   stuckList
	oldest time.Duration
	byLane map[Lane]uint64
}

func (c *Consumer) surveyHeld(now time.Time) heldSurvey {
	h := heldSurvey{byLane: make(map[Lane]uint64, len(c.lanes))}
	c.leases.each(func(d *delivery) {
		h.bytes += int64(d.size)
		h.byLane[d.lane.kind]++
		h.oldest = max(h.oldest, now.Sub(d.msg.Published))
		nanos := d.started.Load()
		if nanos == 0 {
			return
		}
		started := time.Unix(0, nanos)
		if since := d.stuckSince(started, now); !since.IsZero() {
			h.stuck++
			h.list.add(d, started, since)
		}
	})
	h.list.cut()
	return h
}

func (l *lane) snapshot() LaneState {
	s := LaneState{
		Lane:        l.kind,
		Consumer:    l.consumer,
		Pulled:      l.state.pulled.Load(),
		Redelivered: l.state.redelivered.Load(),
		Pending:     l.state.pending.Load(),
		AckPending:  uint64(max(l.state.ackPending.Load(), 0)),
		Requested:   int(l.state.requested.Load()),
		Batch:       int(l.state.batch.Load()),
		Resets:      l.state.resets.Load(),
	}
	credit, _ := l.budget.free()
	s.Credit = int(credit)
	if at := l.state.lastMessage.Load(); at != 0 {
		s.LastMessage = time.Unix(0, at)
	}
	l.state.mu.Lock()
	defer l.state.mu.Unlock()
	s.Paused, s.LastError = l.state.paused, l.state.lastError
	return s
}

// rateText is r as limiter.ParseRate reads it.
func rateText(r tenants.Rate) string {
	if r == (tenants.Rate{}) {
		return ""
	}
	return limiter.Rate(r).String()
}

// fullest returns how many messages the fullest queue of a tenant holds.
func fullest(stat tenants.Stat) int {
	most := 0
	for _, q := range stat.Classes() {
		most = max(most, q.Queued)
	}
	return most
}

func (c *Consumer) tenantStates() []TenantState {
	var states []TenantState
	overflow := c.spillway.overflow()
	for name, stat := range c.queues.All() {
		if name == suspectTenant {
			continue
		}
		spilled := overflow[name]
		delete(overflow, name)
		states = append(states, TenantState{
			Tenant:      name,
			Queued:      stat.Queued,
			Bytes:       stat.Bytes,
			Fullest:     fullest(stat),
			QueueMax:    stat.Queue,
			QueueHigh:   stat.High,
			InFlight:    stat.InFlight,
			Weight:      stat.Weight,
			MaxInFlight: stat.MaxInFlight,
			Rate:        rateText(stat.Rate),
			Shedding:    stat.Over,
			Finished:    stat.Finished,
			WorkerTime:  stat.WorkerTime,
			Overflow:    spilled,
			Oldest:      stat.Oldest,
			Waiting:     c.waitingOf(stat),
			Noisy:       c.noise.isNoisy(name),

			RateShared:   stat.SharedRate,
			RateDegraded: stat.SharedRate && c.rates.degraded(name),
		})
	}
	for name, spilled := range overflow { // of whom nothing is here
		states = append(states, TenantState{Tenant: name, Weight: c.cfg.Tenants.Weight, MaxInFlight: c.cfg.Tenants.MaxInFlight, Overflow: spilled})
	}
	slices.SortFunc(states, func(a, b TenantState) int { return cmp.Compare(a.Tenant, b.Tenant) })
	return states
}
