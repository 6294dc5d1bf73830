package consumer

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
	"github.com/spillwaymq/spillway/limiter"
)

// Config says what a Consumer takes, in what bounds, and what happens to work
// that fails. The zero value of a field is its default. A Config is read by New, and by
// Reload.
type Config struct {
	// Stream is the JetStream stream that is consumed. Required.
	Stream string
	// Durable names the consumer on it. Processes that share a durable share its
	// work. Required; at most 128 letters, digits, - and _.
	Durable string
	// Subjects, if given, are those the stream is created with when it does not
	// exist, on files and with one replica. Without them a missing stream is an error.
	Subjects []string
	// FilterSubjects restrict what of the stream this durable takes. Default: all.
	FilterSubjects []string
	// Deliver says where a new durable begins. Default: with all there is;
	// jetstream.DeliverNewPolicy is the other choice, but not on a WorkQueue stream.
	Deliver jetstream.DeliverPolicy
	// Unmanaged makes the consumer create and change nothing in NATS: what is
	// missing or different is an error at start. It delays where it would spill, as it may
	// not create the consumers of overflows. What others spilled it takes back as long as
	// those consumers exist, which the server ends when none of these others has asked for a
	// minute or twice AckWait, whichever is longer; else that waits, and is logged, until a
	// process that is not Unmanaged runs.
	Unmanaged bool

	// Tenant finds whose work a message is. Default: all messages are of one
	// tenant, named "default".
	Tenant TenantFunc
	// Workers is how many handlers run at once in this process. Default 64, at most
	// 65,536.
	Workers int
	// AckWait is after how long without a sign of life JetStream gives a message to
	// somebody else. Held messages are kept alive, so it bounds how long a dead
	// process delays its messages, not how long a handler may run. Default 30s, at
	// least 1s, at most 24h.
	AckWait time.Duration
	// Buffer bounds what this process holds.
	Buffer Buffer
	// Tenants is the policy of every tenant that PolicyFor does not change.
	Tenants TenantPolicy
	// PolicyFor, if given, changes the policy of one tenant; p holds Tenants when it
	// is called, which is when the tenant is seen first, or again after it was
	// forgotten, and when Reload or SetTenant may have changed it. A policy that is not valid is logged, and Tenants stands. It is called
	// from several goroutines and must not block.
	PolicyFor func(tenant string, p *TenantPolicy)
	// Downstreams says by name how that is protected which routes call. A downstream that a
	// route names and that is not here is protected by the defaults; the one of routes that
	// name none, "default", only if it is here. One that no route names is an error.
	Downstreams map[string]Downstream
	// SharedRate makes the limiter of a Downstream or a TenantPolicy with SharedRate, for all
	// that share key: "downstream:" or "tenant:" and its name. It is needed if there is such a
	// one. New calls it for downstreams; for a tenant it is called by several goroutines, when
	// the first message is about to start, when the rate has changed, and again when none had
	// started for a minute or two, so that what it knows must be found again by the key. It
	// must not block. If it returns an error for a tenant, that is logged, and the rate holds
	// for this process.
	SharedRate func(key string, r limiter.Rate) (RateLimiter, error)
	// Retry says when a failed message is tried again, and how often.
	Retry Retry
	// DeadLetter is where messages go that nobody can handle. Default
	// <Stream>_DEAD, without a bound.
	DeadLetter StreamRef
	// Overflow is where copies wait: what queues have no room for, retries and suspects. Default
	// <Stream>_OVERFLOW with 10 GiB.
	Overflow StreamRef
	// DrainTimeout is how long the drain lets handlers finish. Default 25s, at most
	// 24h. With a server that does not answer the whole drain takes up to 24s longer.
	DrainTimeout time.Duration
	// Logger gets what an operator should know. Default: nothing is logged.
	Logger *slog.Logger
}

// Buffer bounds what a process holds and has asked for, waiting and running
// messages together.
type Buffer struct {
	// Messages is the bound in messages. Default 4096, at least 4, at most 1,048,576.
	Messages int
	// Bytes is the bound in bytes: of what is asked for as the server counts them,
	// subject, headers, payload and ack subject; of what is held with what its headers
	// take in memory beyond that, up to 128 bytes a header. Default 64 MiB, at least
	// 64 KiB. A larger message is dead-lettered as too_large.
	Bytes int64
	// TargetDelay is how long messages should wait here for their turn: of one downstream no
	// more wait than keep its workers busy for so long, at the pace measured, and once over
	// besides. A queue that would pass this sheds below its high watermark; see tenants.Soft.
	// Default 200ms, at least 1ms, at most 24h.
	TargetDelay time.Duration
}

// OverflowPolicy is what happens to a message whose queue is at its high watermark.
type OverflowPolicy string

const (
	// OverflowSpill moves the message to its queue's overflow, from where it comes back in
	// its turn. It is the default. Where the overflow is full or a message too large to be
	// copied, it is delayed.
	OverflowSpill OverflowPolicy = "spill"
	// OverflowDelay hands the message back, to come again about when its queue has room. On
	// its third delivery, or while what this process has handed back would hold half of the
	// durable's MaxAckPending, it is moved to the retry lane instead, where it holds no
	// place.
	OverflowDelay OverflowPolicy = "delay"
	// OverflowDrop terminates the message: for data that goes stale.
	OverflowDrop OverflowPolicy = "drop"
	// OverflowHold stops the pull until the queue is at its low watermark: classic
	// backpressure, for every tenant. It can only be chosen for all tenants.
	OverflowHold OverflowPolicy = "hold"
)

// TenantPolicy is what one tenant may use.
type TenantPolicy struct {
	// Queue is how many messages one queue holds, of one tenant for one downstream.
	// Default 256, at most 1,048,576.
	Queue int
	// High and Low are the watermarks, as shares of Queue. A queue that reaches High
	// sheds until it is down to Low. Defaults 0.75 and 0.375.
	High, Low float64
	// Weight is the tenant's share of worker-time, relative to the others that have
	// work. Default 1, at least 0.001, at most 1000.
	Weight float64
	// MaxInFlight is how many messages of the tenant run at once in this process.
	// Default 0: no cap.
	MaxInFlight int
	// Rate is how many messages of the tenant start in a time in this process, in bursts of
	// Rate.Burst. Default: no bound.
	Rate limiter.Rate
	// SharedRate makes Rate hold for all processes together, through Config.SharedRate.
	SharedRate bool
	// OnOverflow is what happens at the high watermark. Default OverflowSpill.
	OnOverflow OverflowPolicy
}

// Retry is the schedule of attempts: Initial after the first failure, Multiplier
// times as long after each further one, at most Max, each spread by Jitter.
type Retry struct {
	MaxAttempts int           // runs before a message is dead-lettered; default 10
	Initial     time.Duration // default 1s
	Max         time.Duration // default 5m
	Multiplier  float64       // default 2, at least 1
	Jitter      float64       // share of the delay by which it varies either way; default 0.2; negative: none
}

// StreamRef names a stream that Spillway keeps its own records in.
type StreamRef struct {
	Stream   string
	MaxBytes int64 // bound of the stream when it is created; -1: none
}

// Defaults, as documented on the fields.
const (
	defaultWorkers      = 64
	defaultAckWait      = 30 * time.Second
	defaultMessages     = 4096
	defaultBytes        = 64 << 20
	defaultTargetDelay  = 200 * time.Millisecond
	defaultQueue        = 256
	defaultHigh         = 0.75
	defaultLow          = 0.375
	defaultMaxAttempts  = 10
	defaultRetryInitial = time.Second
	defaultRetryMax     = 5 * time.Minute
	defaultMultiplier   = 2
	defaultJitter       = 0.2
	defaultOverflowMax  = 10 << 30
	defaultDrain        = 25 * time.Second
	defaultTenant       = "default"
)

// withDefaults returns a copy in which no field is left to its default.
func (cfg Config) withDefaults() Config {
	setDefault(&cfg.Workers, defaultWorkers)
	setDefault(&cfg.AckWait, defaultAckWait)
	setDefault(&cfg.Buffer.Messages, defaultMessages)
	setDefault(&cfg.Buffer.Bytes, defaultBytes)
	setDefault(&cfg.Buffer.TargetDelay, defaultTargetDelay)
	setDefault(&cfg.DrainTimeout, defaultDrain)
	setDefault(&cfg.Overflow.Stream, envelope.OverflowStream(cfg.Stream))
	setDefault(&cfg.Overflow.MaxBytes, defaultOverflowMax)
	setDefault(&cfg.DeadLetter.Stream, envelope.DeadLetterStream(cfg.Stream))
	setDefault(&cfg.DeadLetter.MaxBytes, -1)
	cfg.Tenants = cfg.Tenants.withDefaults()
	cfg.Retry = cfg.Retry.withDefaults()
	if cfg.Tenant == nil {
		cfg.Tenant = FixedTenant(defaultTenant)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg
}

func (p TenantPolicy) withDefaults() TenantPolicy {
	setDefault(&p.Queue, defaultQueue)
	setDefault(&p.High, defaultHigh)
	setDefault(&p.Low, min(defaultLow, p.High/2))
	setDefault(&p.Weight, 1)
	setDefault(&p.OnOverflow, OverflowSpill)
	return p
}

func (r Retry) withDefaults() Retry {
	setDefault(&r.MaxAttempts, defaultMaxAttempts)
	setDefault(&r.Initial, defaultRetryInitial)
	setDefault(&r.Max, max(defaultRetryMax, r.Initial))
	setDefault(&r.Multiplier, defaultMultiplier)
	setDefault(&r.Jitter, defaultJitter)
	r.Jitter = max(r.Jitter, 0)
	return r
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
