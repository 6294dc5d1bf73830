package consumer

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// How Reload treats the fields of a Config: some it takes, and of functions nobody can say
// whether they are the same. All others must be what they are.
var (
	reloaded     = []string{"Tenants", "PolicyFor", "Downstreams", "SharedRate", "Retry", "Workers"}
	incomparable = []string{"Tenant", "Logger"}
)

// Reload makes the Consumer work by cfg from now on, while messages flow, or returns what is
// wrong and changes nothing. It checks cfg as New does. What it takes is
//
//   - Tenants and PolicyFor, for all tenants, those that have messages here included; what
//     SetTenant has set stays, over what the config says;
//   - Downstreams. A part whose config is as it was goes on with what it has learned, and so
//     does a limit with other bounds and a breaker with other thresholds; a token bucket keeps
//     its tokens. What a route names and cfg does not has the defaults, as with New. SharedRate
//     is called for those alone whose shared rate is another;
//   - Retry, for what fails from now on;
//   - Workers: those that are too many go when they are done with their message, those that are
//     idle first.
//
// All else must be as New was given it: the error names every field that is not. Functions
// cannot be compared, so Tenant and Logger stay what they are, whatever cfg has there; a cfg
// without a Tenant where New was given one is refused.
//
// Before Run it is as if New had been given cfg. From the beginning of the drain on it is
// an error. Reloads that are called at once are made one after the other; PolicyFor and
// SharedRate must not call Reload.
func (c *Consumer) Reload(cfg Config) error {
	c.reloading.take()
	defer c.reloading.give()
	if state := c.getState(); state == StateDraining || state == StateStopped {
		return fmt.Errorf("consumer: Reload: the consumer is %s", state)
	}
	next, err := c.plan(cfg)
	if err != nil {
		return err
	}
	changes, err := c.downstreams.plan(next, c.live.Load())
	if err != nil {
		return err
	}
	c.live.Store(next)
	changes.make()
	c.treatAnew(next)
	c.staff.resize()
	if err := c.queues.SetSoft(c.cfg.Buffer.soft(next.Workers)); err != nil {
		c.log.Error("a bound that was checked is refused", "error", err)
	}
	if c.getState() != StateNew { // else Run begins with it
		c.downstreams.review()
		c.wakeLanes()
	}
	c.log.Info("works by another config", "workers", next.Workers, "downstreams_changed", len(changes))
	return nil
}

// treatAnew makes the queues ask how each tenant is treated. If that changes meanwhile, of
// one whom they have asked for already, they ask again.
func (c *Consumer) treatAnew(l *live) {
	for now := c.policies.Add(1); ; {
		if err := c.queues.Reconfigure(l.Tenants.queuePolicy(c.cfg.Buffer.Bytes), c.policyFor); err != nil {
			c.log.Error("a policy that was checked is refused", "error", err) // its tenant has the default
		}
		then := c.policies.Load()
		if then == now {
			return
		}
		now = then
	}
}

// plan checks cfg as New does, and that nothing differs but what may.
func (c *Consumer) plan(cfg Config) (*live, error) {
	full := cfg.withDefaults()
	if err := full.validate(); err != nil {
		return nil, err
	}
	if err := full.checkUse(c.mux); err != nil {
		return nil, err
	}
	if fields := c.cfg.refused(cfg); len(fields) > 0 {
		return nil, fmt.Errorf("consumer: Reload cannot change %s: make a new Consumer for that", strings.Join(fields, ", "))
	}
	next := full.live(c.mux)
	if _, err := c.newQueues(next); err != nil {
		return nil, err
	}
	return next, nil
}

// refused names what of cfg differs from what f has and must not.
func (f *fixed) refused(cfg Config) []string {
	var fields []string
	if cfg.Tenant == nil && f.tenantGiven {
		fields = append(fields, "Tenant")
	}
	was, is := reflect.ValueOf(f.whole), reflect.ValueOf(f.like(cfg))
	for i, field := range reflect.VisibleFields(was.Type()) {
		if !slices.Contains(reloaded, field.Name) && !slices.Contains(incomparable, field.Name) {
			fields = append(fields, unlike(field.Name, was.Field(i), is.Field(i))...)
		}
	}
	slices.Sort(fields)
	return fields
}

// like returns cfg with its defaults, of which those that follow from the name of the stream
// are as they were: only what was changed is to be named.
func (f *fixed) like(cfg Config) Config {
	stream := cfg.Stream
	cfg.Stream = f.Stream
	cfg = cfg.withDefaults()
	cfg.Stream = stream
	return cfg
}

// unlike names the fields that differ, those within structs one by one.
func unlike(name string, a, b reflect.Value) []string {
	switch {
	case a.Kind() == reflect.Struct:
		var names []string
		for i, field := range reflect.VisibleFields(a.Type()) {
			names = append(names, unlike(name+"."+field.Name, a.Field(i), b.Field(i))...)
		}
		return names
	case a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0, reflect.DeepEqual(a.Interface(), b.Interface()):
		return nil
	}
	return []string{name}
}
