package consumer

import (
	"errors"
	"fmt"
	"time"

	"github.com/spillwaymq/spillway/internal/envelope"
	"github.com/spillwaymq/spillway/limiter"
)

// TenantPatch is what SetTenant sets of one tenant; what is nil stays as it is.
type TenantPatch struct {
	// Paused keeps messages of the tenant from starting; those that run go on. false ends
	// a pause.
	Paused *bool
	// Weight, MaxInFlight and Rate are as in TenantPolicy, and 0 is no default: a Weight
	// must be above 0, a MaxInFlight of 0 is no cap, and the zero Rate is no bound.
	Weight      *float64
	MaxInFlight *int
	Rate        *limiter.Rate
}

// MaxTTL is the longest time for which SetTenant sets something that ends by itself.
const MaxTTL = 366 * 24 * time.Hour

// Errors of SetTenant and ResetTenant, beside those of NATS; to be used with errors.Is.
var (
	// ErrPatch is that of arguments that cannot be.
	ErrPatch = errors.New("not a patch of a tenant")
	// ErrLivePolicyOff is that of a Consumer that has nowhere to keep what is set.
	ErrLivePolicyOff = errors.New("live policy is off")
	// ErrTooManyOverrides says that as many tenants as there may be have something set.
	ErrTooManyOverrides = errors.New("too many tenants have something set")
	// ErrOverrideConflict says that others changed the same tenant again and again meanwhile.
	ErrOverrideConflict = errors.New("others change the same tenant at the same time")
)

// Validate reports every mistake in p, a patch that sets nothing included; the names in its
// errors begin with field. All are ErrPatch.
func (p TenantPatch) Validate(field string) error {
	var c check
	c.that(p != (TenantPatch{}), "%s sets nothing, must have at least one of Paused, Weight, MaxInFlight and Rate", field)
	if p.Weight != nil {
		between(&c, field+".Weight", *p.Weight, minWeight, maxWeight)
	}
	if p.MaxInFlight != nil {
		between(&c, field+".MaxInFlight", *p.MaxInFlight, 0, maxWorkers)
	}
	if p.Rate != nil && *p.Rate != (limiter.Rate{}) {
		c.rate(field+".Rate", *p.Rate)
	}
	return wrapEach(ErrPatch, c.errs)
}

// checkTTL reports a time that is none for which something can be set.
func checkTTL(ttl time.Duration) error {
	var c check
	between(&c, "ttl", ttl, 0, MaxTTL)
	return wrapEach(ErrPatch, c.errs)
}

func checkTenant(tenant string) error {
	var c check
	c.that(ValidTenant(tenant), "tenant is %.64q, must be 1 to %d bytes of UTF-8 without control characters", tenant, maxTenantBytes)
	return wrapEach(ErrPatch, c.errs)
}

// wrapEach joins errs, each of which is then kind too.
func wrapEach(kind error, errs []error) error {
	wrapped := make([]error, len(errs))
	for i, err := range errs {
		wrapped[i] = &kindError{err, kind}
	}
	return errors.Join(wrapped...)
}

// kindError is an error that is another one too, and does not say so.
type kindError struct{ err, kind error }

func (e *kindError) Error() string   { return e.err.Error() }
func (e *kindError) Unwrap() []error { return []error{e.err, e.kind} }

// onto returns r with what p sets until a time, zero for good. What is over by now is left
// out.
func (p TenantPatch) onto(r envelope.Policy, now, until time.Time) envelope.Policy {
	r = r.At(now)
	if p.Paused != nil {
		r.Paused = nil // no config pauses anybody
		if *p.Paused {
			r.Paused = &envelope.Term[bool]{Value: true, Until: until}
		}
	}
	if p.Weight != nil {
		r.Weight = &envelope.Term[float64]{Value: *p.Weight, Until: until}
	}
	if p.MaxInFlight != nil {
		r.MaxInFlight = &envelope.Term[int]{Value: *p.MaxInFlight, Until: until}
	}
	if p.Rate != nil {
		r.Rate = &envelope.Term[envelope.Rate]{Value: envelope.Rate(*p.Rate), Until: until}
	}
	return r
}

// sound returns what of a record can be done, and what is wrong with the rest. Whoever may
// write to the bucket can write anything.
func sound(r envelope.Policy) (envelope.Policy, error) {
	var errs []error
	note := func(p TenantPatch, drop func()) {
		if err := p.Validate("tenant " + fmt.Sprintf("%q", r.Tenant)); err != nil {
			errs = append(errs, err)
			drop()
		}
	}
	if r.Weight != nil {
		note(TenantPatch{Weight: &r.Weight.Value}, func() { r.Weight = nil })
	}
	if r.MaxInFlight != nil {
		note(TenantPatch{MaxInFlight: &r.MaxInFlight.Value}, func() { r.MaxInFlight = nil })
	}
	if r.Rate != nil {
		rate := limiter.Rate(r.Rate.Value)
		note(TenantPatch{Rate: &rate}, func() { r.Rate = nil })
	}
	return r, errors.Join(errs...)
}

// TenantOverride is what SetTenant has set of a tenant and holds now; nil: as the config says.
type TenantOverride struct {
	Paused      *Override[bool]    `json:"paused,omitempty"`
	Weight      *Override[float64] `json:"weight,omitempty"`
	MaxInFlight *Override[int]     `json:"max_in_flight,omitempty"`
	Rate        *Override[string]  `json:"rate,omitempty"` // like 100/s; "": no bound
}

// Override is one value that was set.
type Override[T any] struct {
	Value T         `json:"value"`
	Until time.Time `json:"until,omitzero"` // when the config counts again; zero: when it is reset
}

// overrideOf is r as it is shown, nil if it says nothing.
func overrideOf(r envelope.Policy) *TenantOverride {
	if r.Silent() {
		return nil
	}
	o := &TenantOverride{Paused: shownTerm(r.Paused), Weight: shownTerm(r.Weight), MaxInFlight: shownTerm(r.MaxInFlight)}
	if r.Rate != nil {
		o.Rate = &Override[string]{rateText(limiter.Rate(r.Rate.Value)), r.Rate.Until}
	}
	return o
}

func shownTerm[T any](t *envelope.Term[T]) *Override[T] {
	if t == nil {
		return nil
	}
	return &Override[T]{t.Value, t.Until}
}
