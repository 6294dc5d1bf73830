package load

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// MaxLag is how late a request in a hundred may be sent in a run that is valid.
const MaxLag = time.Millisecond

// A Result is what became of a run. Durations are in seconds in its JSON.
type Result struct {
	Account

	Seconds     float64 `json:"seconds"`     // from the begin until the last request was done
	Interrupted bool    `json:"interrupted"` // ctx ended before it was over

	Latency Histogram `json:"latency"` // of what is done, failed and timed out included, from when it was due
	Success Histogram `json:"success"` // of what is OK alone
	Lag     Histogram `json:"lag"`     // how late requests were sent

	MaxInFlight int   `json:"max_in_flight"` // the most in flight at once
	HeldBack    int64 `json:"held_back"`     // had to wait, as Config.MaxInFlight were in flight

	Stages   []StageResult  `json:"stages"`
	Tenants  []TenantResult `json:"tenants,omitempty"` // of the first 100, if there are several
	Failures []Failure      `json:"failures"`          // the most frequent first

	// Invalid says why the figures are not to be trusted; empty if they are.
	Invalid []string `json:"invalid"`
	// Warnings say what else the reader should know.
	Warnings []string `json:"warnings,omitempty"`
}

// StageResult is the part of one stage.
type StageResult struct {
	Stage string `json:"stage"` // as ParseStage reads it
	Account

	Latency Histogram `json:"latency"`
}

// TenantResult is the part of one tenant.
type TenantResult struct {
	Tenant string `json:"tenant"`
	Account

	Latency Histogram `json:"latency"` // with two significant digits
}

// Failure is how many requests failed in one way.
type Failure struct {
	Error string `json:"error"`
	Count int64  `json:"count"`
}

// Valid reports whether the figures are to be trusted.
func (r *Result) Valid() bool { return len(r.Invalid) == 0 }

// Invalidate adds a reason for which the figures are not to be trusted, for targets that
// know of one.
func (r *Result) Invalidate(format string, args ...any) {
	r.Invalid = append(r.Invalid, fmt.Sprintf(format, args...))
}

func (r *Result) warn(format string, args ...any) {
	r.Warnings = append(r.Warnings, fmt.Sprintf(format, args...))
}

// result requires that the run has ended.
func (r *run) result(elapsed time.Duration) *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &r.book
	res := &Result{
		Account: b.sum(), Seconds: elapsed.Seconds(),
		Latency: Histogram{b.latency}, Success: Histogram{b.success}, Lag: Histogram{b.lag},
		MaxInFlight: b.peak, HeldBack: b.heldBack,
		Failures: []Failure{}, Invalid: []string{},
	}
	for i, s := range b.stages {
		res.Stages = append(res.Stages, StageResult{r.schedule.stages[i].String(), s.Account, Histogram{s.latency}})
	}
	for i, s := range b.tenants {
		res.Tenants = append(res.Tenants, TenantResult{r.schedule.mix.names[i], s.Account, Histogram{s.latency}})
	}
	for label, n := range b.failures {
		res.Failures = append(res.Failures, Failure{label, n})
	}
	slices.SortFunc(res.Failures, func(a, b Failure) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Error, b.Error))
	})
	res.judge(r.cfg, b.cut)
	return res
}

// judge finds out what speaks against the figures.
func (r *Result) judge(cfg Config, cut int64) {
	if lag := r.Lag.Quantile(0.99); lag > MaxLag {
		why := "this machine is too slow or too busy for the rate"
		if r.HeldBack*100 >= r.Sent {
			why = fmt.Sprintf("%d requests had to wait while %d were in flight, which is the bound", r.HeldBack, cfg.MaxInFlight)
		}
		r.Invalidate("one request in a hundred was sent %v late or later, more than %v: %s", brief(lag), MaxLag, why)
	}
	if dropped := r.Dropped - cut; dropped > 0 {
		r.Invalidate("%d of %d requests were dropped, as they could not be sent within %v: the load was less than asked for",
			dropped, r.Scheduled, cfg.MaxDelay)
	}
	if r.Done() == 0 {
		r.Invalidate("no request was done: there is nothing to measure")
	} else if r.OK == 0 {
		r.Invalidate("no request succeeded: the latencies are those of failures")
	}
}
