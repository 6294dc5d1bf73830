package config

import (
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// File is what a config file may hold.
type File struct {
	NATS           NATS                  `yaml:"nats"`
	Stream         string                `yaml:"stream"`
	Durable        string                `yaml:"durable"`
	Subjects       []string              `yaml:"subjects"`
	FilterSubjects []string              `yaml:"filter_subjects"`
	Deliver        string                `yaml:"deliver" oneof:"all new"`
	Manage         bool                  `yaml:"manage"`
	Tenant         Tenant                `yaml:"tenant"`
	Workers        int                   `yaml:"workers" zero:"refuse"`
	AckWait        time.Duration         `yaml:"ack_wait" zero:"refuse"`
	Buffer         Buffer                `yaml:"buffer"`
	Tenants        Tenants               `yaml:"tenants"`
	Downstreams    map[string]Downstream `yaml:"downstreams"`
	Handlers       []Handler             `yaml:"handlers"`
	Retry          Retry                 `yaml:"retry"`
	DeadLetter     StreamRef             `yaml:"dead_letter"`
	Overflow       StreamRef             `yaml:"overflow"`
	Redis          Redis                 `yaml:"redis"`
	Ops            Ops                   `yaml:"ops"`
	DrainTimeout   time.Duration         `yaml:"drain_timeout" zero:"refuse"`
	Log            Log                   `yaml:"log"`
}

// NATS is where the servers are and how to be let in.
type NATS struct {
	URL         URL    `yaml:"url"`
	Credentials string `yaml:"credentials"` // a .creds file
	Domain      string `yaml:"domain"`      // the JetStream domain
	TLS         TLS    `yaml:"tls"`
}

// TLS names PEM files.
type TLS struct {
	CA   string `yaml:"ca"`
	Cert string `yaml:"cert"`
	Key  string `yaml:"key"`
}

// Tenant is where a message tells whose work it is: one of SubjectToken and Header.
// Neither: all messages are of one tenant.
type Tenant struct {
	SubjectToken int    `yaml:"subject_token,omitempty" zero:"refuse"`
	Header       string `yaml:"header,omitempty"`
	Fallback     string `yaml:"fallback"`
}

// Buffer bounds what the process holds.
type Buffer struct {
	Messages int  `yaml:"messages" zero:"refuse"`
	Bytes    Size `yaml:"bytes" zero:"refuse"`
}

// Tenants is what tenants may use.
type Tenants struct {
	Default   Policy                 `yaml:"default"`
	Overrides map[string]PolicyPatch `yaml:"overrides"`
}

// Policy is what a tenant may use.
type Policy struct {
	Queue       int     `yaml:"queue" zero:"refuse"`
	High        float64 `yaml:"high" zero:"refuse"`
	Low         float64 `yaml:"low"`
	Weight      float64 `yaml:"weight" zero:"refuse"`
	MaxInFlight int     `yaml:"max_in_flight"`
	Rate        Rate    `yaml:"rate"`
	OnOverflow  string  `yaml:"on_overflow" oneof:"spill delay drop hold"`
}

// PolicyPatch is a Policy of which only what is given counts.
type PolicyPatch struct {
	Queue       *int     `yaml:"queue" zero:"refuse"`
	High        *float64 `yaml:"high" zero:"refuse"`
	Low         *float64 `yaml:"low"`
	Weight      *float64 `yaml:"weight" zero:"refuse"`
	MaxInFlight *int     `yaml:"max_in_flight"`
	Rate        *Rate    `yaml:"rate"`
	OnOverflow  *string  `yaml:"on_overflow" oneof:"spill delay drop hold"`
}

// Retry is the schedule of attempts.
type Retry struct {
	MaxAttempts int           `yaml:"max_attempts" zero:"refuse"`
	Initial     time.Duration `yaml:"initial" zero:"refuse"`
	Max         time.Duration `yaml:"max" zero:"refuse"`
	Multiplier  float64       `yaml:"multiplier" zero:"refuse"`
	Jitter      float64       `yaml:"jitter"`
}

// StreamRef is a stream of ours.
type StreamRef struct {
	Stream   string `yaml:"stream"`
	MaxBytes Size   `yaml:"max_bytes" zero:"refuse"`
}

// Ops is the operations endpoint; it is off without Listen.
type Ops struct {
	Listen    string `yaml:"listen"`
	TokenFile string `yaml:"token_file"`
}

// Log is what is written to standard error.
type Log struct {
	Level  string `yaml:"level" oneof:"debug info warn error"`
	Format string `yaml:"format" oneof:"auto json console"`
}

// The values of Log.Format.
const (
	LogAuto    = "auto" // console on a terminal, else JSON
	LogJSON    = "json"
	LogConsole = "console"
)

// The values of File.Deliver.
const (
	deliverAll = "all"
	deliverNew = "new"
)

// unbounded is the size that means no bound.
const unbounded = -1

// Default returns a File of defaults, which are those of package consumer where it has
// the key too. What depends on other keys is empty in it, and set by complete.
func Default() File {
	d := consumer.Config{}.WithDefaults()
	return File{
		NATS:    NATS{URL: "nats://127.0.0.1:4222"},
		Deliver: deliverAll,
		Manage:  !d.Unmanaged,
		Workers: d.Workers,
		AckWait: d.AckWait,
		Buffer:  Buffer{Messages: d.Buffer.Messages, Bytes: Size(d.Buffer.Bytes)},
		Tenants: Tenants{Default: Policy{
			Queue: d.Tenants.Queue, High: d.Tenants.High, Weight: d.Tenants.Weight,
			MaxInFlight: d.Tenants.MaxInFlight, OnOverflow: string(d.Tenants.OnOverflow),
		}},
		Retry:        Retry{MaxAttempts: d.Retry.MaxAttempts, Initial: d.Retry.Initial, Multiplier: d.Retry.Multiplier, Jitter: d.Retry.Jitter},
		DeadLetter:   StreamRef{MaxBytes: Size(d.DeadLetter.MaxBytes)},
		Overflow:     StreamRef{MaxBytes: Size(d.Overflow.MaxBytes)},
		Redis:        defaultRedis(),
		Ops:          Ops{Listen: "127.0.0.1:8080"},
		DrainTimeout: d.DrainTimeout,
		Log:          Log{Level: "info", Format: LogAuto},
	}
}
