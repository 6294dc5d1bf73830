package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/terminal"
	"github.com/spillwaymq/spillway/consumer"
)

// tenantsCommand is about the tenants of a running worker.
type tenantsCommand struct {
	List   tenantsListCommand   `cmd:"" name:"ls" help:"List the tenants that the worker knows, and all of which something is set."`
	Pause  tenantsPauseCommand  `cmd:"" help:"Start nothing of a tenant any more; its running handlers go on, and its messages are kept."`
	Resume tenantsResumeCommand `cmd:"" help:"End a pause."`
	Set    tenantsSetCommand    `cmd:"" help:"Set the weight, the cap or the rate of a tenant."`
	Reset  tenantsResetCommand  `cmd:"" help:"End all that is set of a tenant: the config file counts again."`
}

// oneTenant is what the commands have that change one.
type oneTenant struct {
	opsFlags

	Tenant string `arg:"" help:"The name; write -- before one that begins with a dash."`
}

// Validate is called by kong.
func (t *oneTenant) Validate() error {
	if !consumer.ValidTenant(t.Tenant) {
		return fmt.Errorf("tenant %q cannot be, must be 1 to %d bytes of UTF-8 without control characters", t.Tenant, consumer.MaxTenantBytes)
	}
	return t.opsFlags.Validate()
}

// tenantPatch is the body of a change.
type tenantPatch struct {
	Paused      *bool    `json:"paused,omitempty"`
	Weight      *float64 `json:"weight,omitempty"`
	MaxInFlight *int     `json:"max_in_flight,omitempty"`
	Rate        *string  `json:"rate,omitempty"`
	TTL         string   `json:"ttl,omitempty"`
}

// change makes a change, and shows what the tenant is like then.
func (t *oneTenant) change(p *process, method string, body any) error {
	var state consumer.TenantState
	if err := t.call(p, method, tenantsPath+"/"+pathOf(t.Tenant), body, &state); err != nil {
		return err
	}
	if t.JSON {
		return printJSON(p.stdout, state)
	}
	return printTenantStates(p.stdout, []consumer.TenantState{state})
}

const tenantsPath = "/api/v1/tenants"

// pathOf is a name as one part of a path, also one that means something there.
func pathOf(tenant string) string {
	if strings.Trim(tenant, ".") == "" {
		return strings.ReplaceAll(tenant, ".", "%2E")
	}
	return url.PathEscape(tenant)
}

// ttl is the flag for how long a change lasts.
type ttl struct {
	TTL *time.Duration `name:"ttl" placeholder:"DURATION" help:"For how long, like 10m; default: until it is changed."`
}

func (t ttl) check() error {
	if t.TTL != nil && (*t.TTL <= 0 || *t.TTL > consumer.MaxTTL) {
		return fmt.Errorf("--ttl is %v, must be positive and at most %v", *t.TTL, consumer.MaxTTL)
	}
	return nil
}

func (t ttl) String() string {
	if t.TTL == nil {
		return ""
	}
	return t.TTL.String()
}

type tenantsListCommand struct{ opsFlags }

// Run lists.
func (t *tenantsListCommand) Run(p *process) error {
	var states []consumer.TenantState
	if err := t.call(p, http.MethodGet, tenantsPath, nil, &states); err != nil {
		return err
	}
	if t.JSON {
		return printJSON(p.stdout, states)
	}
	return printTenantStates(p.stdout, states)
}

type tenantsPauseCommand struct {
	oneTenant
	ttl
}

// Validate is called by kong.
func (t *tenantsPauseCommand) Validate() error { return errors.Join(t.oneTenant.Validate(), t.check()) }

// Run pauses.
func (t *tenantsPauseCommand) Run(p *process) error {
	return t.change(p, http.MethodPatch, tenantPatch{Paused: new(true), TTL: t.ttl.String()})
}

type tenantsResumeCommand struct{ oneTenant }

// Run ends a pause.
func (t *tenantsResumeCommand) Run(p *process) error {
	return t.change(p, http.MethodPatch, tenantPatch{Paused: new(false)})
}

type tenantsSetCommand struct {
	oneTenant
	ttl

	Weight      *float64 `placeholder:"NUMBER" help:"Its share of worker-time, relative to others."`
	MaxInFlight *int     `placeholder:"N" help:"How many of its messages run at once in each process; 0: no cap."`
	Rate        *string  `placeholder:"RATE" help:"How many of its messages start in a time in each process, like 100/s or 5/m; \"\": no bound."`
}

// Validate is called by kong.
func (t *tenantsSetCommand) Validate() error {
	var nothing error
	if t.Weight == nil && t.MaxInFlight == nil && t.Rate == nil {
		nothing = errors.New("nothing is to be set: give --weight, --max-in-flight or --rate")
	}
	return errors.Join(nothing, t.checkValues(), t.oneTenant.Validate(), t.check())
}

// checkValues reports what no worker takes; what the bounds are is for the worker to say.
func (t *tenantsSetCommand) checkValues() error {
	var errs []error
	if t.Weight != nil && !(*t.Weight > 0 && *t.Weight <= math.MaxFloat64) {
		errs = append(errs, fmt.Errorf("--weight is %v, must be a number above 0, like 0.5 or 2", *t.Weight))
	}
	if t.MaxInFlight != nil && *t.MaxInFlight < 0 {
		errs = append(errs, fmt.Errorf("--max-in-flight is %d, must not be negative; 0 is no cap", *t.MaxInFlight))
	}
	if t.Rate != nil && *t.Rate != "" {
		var rate config.PerTime
		if err := rate.UnmarshalText([]byte(*t.Rate)); err != nil {
			errs = append(errs, fmt.Errorf("--rate %w; \"\" is no bound", err))
		}
	}
	return errors.Join(errs...)
}

// Run sets.
func (t *tenantsSetCommand) Run(p *process) error {
	return t.change(p, http.MethodPatch, tenantPatch{Weight: t.Weight, MaxInFlight: t.MaxInFlight, Rate: t.Rate, TTL: t.ttl.String()})
}

type tenantsResetCommand struct{ oneTenant }

// Run goes back to the file.
func (t *tenantsResetCommand) Run(p *process) error {
	return t.change(p, http.MethodDelete, nil)
}

func printJSON(w io.Writer, v any) error {
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(v)
}

// printTenantStates shows tenants to people.
func printTenantStates(w io.Writer, states []consumer.TenantState) error {
	out := newListing(w, false, "TENANT", "QUEUED", "RUNNING", "OVERFLOW", "WEIGHT", "CAP", "RATE", "WAITS FOR", "SET")
	for _, s := range states {
		limit := ""
		if s.MaxInFlight > 0 {
			limit = strconv.Itoa(s.MaxInFlight)
		}
		waits := ""
		if s.Waiting != nil {
			waits = string(s.Waiting.For)
		}
		if err := out.add(s, s.Tenant, s.Queued, s.InFlight, s.Overflow, s.Weight, limit, s.Rate, waits, overrideText(s.Override, time.Now())); err != nil {
			return err
		}
	}
	return out.close("the worker knows no tenants, and nothing is set of any")
}

// overrideText says what is set of a tenant, and for how long it still is.
func overrideText(o *consumer.TenantOverride, now time.Time) string {
	if o == nil {
		return ""
	}
	var parts []string
	add := func(text string, until time.Time) {
		if !until.IsZero() {
			text += " for " + terminal.Brief(max(until.Sub(now), 0))
		}
		parts = append(parts, text)
	}
	if o.Paused != nil {
		add("paused", o.Paused.Until)
	}
	if o.Weight != nil {
		add(fmt.Sprintf("weight %v", o.Weight.Value), o.Weight.Until)
	}
	if o.MaxInFlight != nil {
		add(fmt.Sprintf("cap %d", o.MaxInFlight.Value), o.MaxInFlight.Until)
	}
	if o.Rate != nil && o.Rate.Value == "" {
		add("no rate", o.Rate.Until)
	} else if o.Rate != nil {
		add("rate "+o.Rate.Value, o.Rate.Until)
	}
	return strings.Join(parts, ", ")
}
