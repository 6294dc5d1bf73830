package limiter

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Rate is how many events may happen in a time, and how many at once: 100 a second in
// bursts of 20 is Rate{Events: 100, Per: time.Second, Burst: 20}. In any time T no more
// than Burst + Events·T/Per are admitted.
//
// From one event in 366 days to 1e9 events a second can be had.
type Rate struct {
	Events float64       // how many in Per; above 0, need not be whole
	Per    time.Duration // above 0

	// Burst is how many are admitted at once after a pause, and so the most that one call
	// can ask for; at most 1e9. Default: what a tenth of a second brings, at least 1.
	Burst int
}

const (
	maxPerSecond = 1e9
	maxInterval  = 366 * 24 * time.Hour
	maxBurst     = 1_000_000_000
)

// perNano requires that r is valid.
func (r Rate) perNano() float64 { return r.Events / float64(r.Per) }

// withDefaults returns r with its burst, and all that is wrong with it.
func (r Rate) withDefaults() (Rate, error) {
	if err := r.validate(); err != nil {
		return r, err
	}
	if r.Burst == 0 {
		r.Burst = max(1, int(math.Ceil(r.perNano()*float64(time.Second/10))))
	}
	return r, nil
}

func (r Rate) validate() error {
	var errs []error
	finite := r.Events > 0 && !math.IsInf(r.Events, 1) // false for NaN
	if !finite {
		errs = append(errs, fmt.Errorf("Rate.Events is %v: must be above 0 and finite", r.Events))
	}
	if r.Per <= 0 {
		errs = append(errs, fmt.Errorf("Rate.Per is %v: must be above 0", r.Per))
	}
	if finite && r.Per > 0 {
		if perSecond := r.perNano() * 1e9; perSecond > maxPerSecond*(1+1e-12) {
			errs = append(errs, fmt.Errorf("Rate is %g events a second: must be at most %g", perSecond, float64(maxPerSecond)))
		}
		if interval := float64(r.Per) / r.Events; interval > float64(maxInterval) {
			errs = append(errs, fmt.Errorf("Rate is one event in %.3g hours: must be at least one in %v", interval/float64(time.Hour), maxInterval))
		}
	}
	if r.Burst < 0 || r.Burst > maxBurst {
		errs = append(errs, fmt.Errorf("Rate.Burst is %d: must be from 0 (for its default) to %d", r.Burst, maxBurst))
	}
	return errors.Join(errs...)
}

// String writes r as ParseRate reads it, without its burst: 100/s, 5/m, 1/h, 10/30s.
func (r Rate) String() string {
	per := r.Per.String()
	switch r.Per {
	case time.Second:
		per = "s"
	case time.Minute:
		per = "m"
	case time.Hour:
		per = "h"
	}
	return strconv.FormatFloat(r.Events, 'f', -1, 64) + "/" + per
}

// ParseRate reads a rate as configuration files have it: 100/s, 5/m, 1/h, or a number
// and any duration of Go, as in 10/30s. Its Burst is 0, which stands for the default.
func ParseRate(s string) (Rate, error) {
	number, per, ok := strings.Cut(strings.TrimSpace(s), "/")
	events, err := strconv.ParseFloat(number, 64)
	if !ok || err != nil || strings.Trim(number, "0123456789.eE+-") != "" {
		return Rate{}, fmt.Errorf("limiter: rate %.64q: must be a number and a time, like 100/s, 5/m or 1/h", s)
	}
	r := Rate{Events: events}
	switch per {
	case "s":
		r.Per = time.Second
	case "m":
		r.Per = time.Minute
	case "h":
		r.Per = time.Hour
	default:
		if r.Per, err = time.ParseDuration(per); err != nil {
			return Rate{}, fmt.Errorf("limiter: rate %.64q: its time must be s, m, h or a duration like 30s", s)
		}
	}
	if err := r.validate(); err != nil {
		return Rate{}, fmt.Errorf("limiter: rate %.64q: %w", s, err)
	}
	return r, nil
}
