package config

import "time"

// Defaults that depend on other keys.
const (
	defaultLow      = 0.375
	defaultRetryMax = 5 * time.Minute
)

// complete sets the defaults that depend on other keys.
func (c *Config) complete() {
	if !c.origins.has("tenants.default.low") {
		c.Tenants.Default.Low = lowFor(c.Tenants.Default.High)
	}
	setDefault(&c.Retry.Max, max(defaultRetryMax, c.Retry.Initial))
	setDefault(&c.DeadLetter.Stream, c.Stream+"_DEAD")
	setDefault(&c.Overflow.Stream, c.Stream+"_OVERFLOW")
	for i := range c.Handlers {
		setDefault(&c.Handlers[i].Downstream, "default")
		c.Handlers[i].complete()
	}
}

// lowFor returns the default of the low watermark below high.
func lowFor(high float64) float64 { return min(defaultLow, high/2) }

// policy returns what a tenant with an override may use.
func (c *Config) policy(patch PolicyPatch) Policy {
	p := c.Tenants.Default
	override(&p.Queue, patch.Queue)
	override(&p.High, patch.High)
	override(&p.Weight, patch.Weight)
	override(&p.MaxInFlight, patch.MaxInFlight)
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
