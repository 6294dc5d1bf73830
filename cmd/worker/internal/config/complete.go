package config

import "github.com/spillwaymq/spillway/consumer"

// complete sets the defaults that depend on other keys.
func (c *Config) complete() {
	if !c.origins.has("tenants.default.low") {
		c.Tenants.Default.Low = lowFor(c.Tenants.Default.High)
	}
	d := consumer.Config{Stream: c.Stream, Retry: consumer.Retry{Initial: c.Retry.Initial}}.WithDefaults()
	setDefault(&c.Retry.Max, d.Retry.Max)
	setDefault(&c.DeadLetter.Stream, d.DeadLetter.Stream)
	setDefault(&c.Overflow.Stream, d.Overflow.Stream)
	c.Redis.complete(c.Stream, c.Durable)
	for name, d := range c.Downstreams {
		c.Downstreams[name] = d.complete(c.Workers)
	}
	for i := range c.Handlers {
		setDefault(&c.Handlers[i].Downstream, consumer.DefaultDownstream)
		c.Handlers[i].complete()
	}
}

// lowFor returns the default of the low watermark below high.
func lowFor(high float64) float64 {
	return consumer.Config{Tenants: consumer.TenantPolicy{High: high}}.WithDefaults().Tenants.Low
}

// policy returns what a tenant with an override may use.
func (c *Config) policy(patch PolicyPatch) Policy {
	p := c.Tenants.Default
	override(&p.Queue, patch.Queue)
	override(&p.High, patch.High)
	override(&p.Weight, patch.Weight)
	override(&p.MaxInFlight, patch.MaxInFlight)
	override(&p.Rate, patch.Rate)
	override(&p.OnOverflow, patch.OnOverflow)
	if !c.origins.has("tenants.default.low") {
		p.Low = lowFor(p.High)
	}
	override(&p.Low, patch.Low)
	return p
}

func override[T any](value *T, by *T) {
	if by != nil {
		*value = *by
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
