package consumer

import "time"

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
	Lane        Lane      `json:"lane"`
	Consumer    string    `json:"consumer"`
	Pulled      uint64    `json:"pulled"`           // messages received
	Redelivered uint64    `json:"redelivered"`      // of these, delivered before
	Pending     uint64    `json:"pending"`          // in the stream, not delivered yet
	AckPending  uint64    `json:"ack_pending"`      // delivered and not settled: in all processes as last surveyed, in this one since
	Requested   int       `json:"requested"`        // asked for and not yet received
	Credit      int       `json:"credit"`           // how much more it may ask for
	Batch       int       `json:"batch"`            // size of the last pull request
	Paused      string    `json:"paused,omitempty"` // why it does not pull
	Resets      uint64    `json:"resets"`
	LastError   string    `json:"last_error,omitempty"`
	LastMessage time.Time `json:"last_message,omitzero"`
}

// DownstreamState is one downstream.
type DownstreamState struct {
	Downstream string             `json:"downstream"`
	Queued     int                `json:"queued"`
	Settled    map[Outcome]uint64 `json:"settled"`
	Overloads  uint64             `json:"overloads"`
	RestsUntil time.Time          `json:"rests_until,omitzero"` // after nothing but overload answers
}

// TenantState is one tenant that has, or lately had, messages here.
type TenantState struct {
	Tenant      string        `json:"tenant"`
	Queued      int           `json:"queued"`
	Bytes       int64         `json:"bytes"`
	InFlight    int           `json:"in_flight"`
	Weight      float64       `json:"weight"`
	MaxInFlight int           `json:"max_in_flight"`
	Shedding    bool          `json:"shedding"`
	Finished    uint64        `json:"finished"`
	WorkerTime  time.Duration `json:"worker_time_ns"`
	Oldest      time.Time     `json:"oldest,omitzero"` // arrival of the oldest queued message
}
