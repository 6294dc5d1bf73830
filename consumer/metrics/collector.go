package metrics

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillwaymq/spillway/consumer"
)

// Source is what is collected from: a *consumer.Consumer.
type Source interface {
	Observe(o consumer.Observer) error
	Snapshot() consumer.Snapshot
}

// Options bound what a Collector shows. The zero value of a field is its default.
type Options struct {
	// Tenants is how many tenants have a label of their own. Default 100, at most
	// 10,000; negative: none, all are "_other".
	Tenants int
	// TenantIdle is how long a tenant must have had nothing to do before its label
	// is given to another. Default 1h, at least 1m.
	TenantIdle time.Duration
	// Version is shown by spillway_build_info. Default: the version of the module
	// that the program was built with.
	Version string
}

// Defaults and bounds, as documented on the fields.
const (
	defaultTenants    = 100
	maxTenants        = 10_000
	defaultTenantIdle = time.Hour
	minTenantIdle     = time.Minute
)

func (o Options) withDefaults() Options {
	if o.Tenants == 0 {
		o.Tenants = defaultTenants
	}
	if o.TenantIdle == 0 {
		o.TenantIdle = defaultTenantIdle
	}
	if o.Version == "" {
		o.Version = moduleVersion()
	}
	return o
}

func (o Options) validate() error {
	var errs []error
	if o.Tenants > maxTenants {
		errs = append(errs, fmt.Errorf("metrics: Tenants is %d, must be at most %d", o.Tenants, maxTenants))
	}
	if o.TenantIdle < minTenantIdle {
		errs = append(errs, fmt.Errorf("metrics: TenantIdle is %v, must be at least %v", o.TenantIdle, minTenantIdle))
	}
	return errors.Join(errs...)
}

// Collector is a prometheus.Collector over one consumer. It is safe for concurrent
// use.
type Collector struct {
	source  Source
	descs   descs
	version string
	events  *events

	reloadFailed atomic.Bool
	reloaded     atomic.Int64 // when the config in force became so, unix nanoseconds

	mu      sync.Mutex // guards the rest, and is held by no event
	tenants *tenantLabels
}

// New returns a Collector over c, which must not run yet: its events are counted
// from the start.
func New(c Source, opts Options) (*Collector, error) {
	if c == nil {
		return nil, errors.New("metrics: there is no consumer")
	}
	opts = opts.withDefaults()
	if err := opts.validate(); err != nil {
		return nil, err
	}
	s := c.Snapshot()
	if s.Stream == "" || s.Durable == "" {
		return nil, fmt.Errorf("metrics: the consumer has stream %q and durable %q, must have both", s.Stream, s.Durable)
	}
	labels := newTenantLabels(opts.Tenants, opts.TenantIdle)
	m := &Collector{
		source:  c,
		descs:   newDescs(prometheus.Labels{"stream": s.Stream, "durable": s.Durable}),
		version: opts.Version,
		events:  newEvents(labels.table),
		tenants: labels,
	}
	m.reloaded.Store(time.Now().UnixNano())
	if err := c.Observe(m.events.observer()); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	return m, nil
}

// Reloaded notes how an attempt to work by another config ended, wherever it failed: in the
// file or in Consumer.Reload. Until it is called the config in force is that of New.
func (m *Collector) Reloaded(err error) {
	m.reloadFailed.Store(err != nil)
	if err == nil {
		m.reloaded.Store(time.Now().UnixNano())
	}
}

// Describe implements prometheus.Collector.
func (m *Collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range m.descs.all {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (m *Collector) Collect(ch chan<- prometheus.Metric) {
	for _, metric := range m.gather(m.source.Snapshot()) {
		ch <- metric
	}
}

func (m *Collector) gather(s consumer.Snapshot) []prometheus.Metric {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out rows
	m.gatherProcess(&out, s)
	m.gatherLanes(&out, s)
	m.gatherDownstreams(&out, s)
	m.gatherTenants(&out, s)
	return out
}
