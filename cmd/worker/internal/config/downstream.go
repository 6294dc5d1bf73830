package config

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

// Downstream is how what handlers call is protected.
type Downstream struct {
	Limit   Limit   `yaml:"limit"`
	Breaker Breaker `yaml:"breaker"`
	Rate    Rate    `yaml:"rate"`
}

// Limit is how many messages for a downstream run at once.
type Limit struct {
	Algorithm string        `yaml:"algorithm" oneof:"adaptive fixed aimd vegas gradient slo none"`
	Min       int           `yaml:"min,omitempty" zero:"refuse"`
	Max       int           `yaml:"max,omitempty" zero:"refuse"`
	Initial   int           `yaml:"initial,omitempty" zero:"refuse"`
	Target    time.Duration `yaml:"target,omitempty" zero:"refuse"`
	Brake     time.Duration `yaml:"brake,omitempty"`
}

// Breaker says when a downstream is left alone.
type Breaker struct {
	Disabled     bool          `yaml:"disabled,omitempty"`
	FailureRatio float64       `yaml:"failure_ratio,omitempty" zero:"refuse"`
	MinCalls     int           `yaml:"min_calls,omitempty" zero:"refuse"`
	Window       time.Duration `yaml:"window,omitempty" zero:"refuse"`
	SlowCall     time.Duration `yaml:"slow_call,omitempty"`
	SlowRatio    float64       `yaml:"slow_ratio,omitempty" zero:"refuse"`
	Open         time.Duration `yaml:"open,omitempty" zero:"refuse"`
	MaxOpen      time.Duration `yaml:"max_open,omitempty" zero:"refuse"`
	Probes       int           `yaml:"probes,omitempty" zero:"refuse"`
}

// complete sets what is in force where nothing was written.
func (d Downstream) complete(workers int) Downstream {
	in := d.consumer().WithDefaults(workers)
	return Downstream{
		Limit: Limit{
			Algorithm: string(in.Limit.Algorithm), Min: in.Limit.Min, Max: in.Limit.Max,
			Initial: in.Limit.Initial, Target: in.Limit.Target, Brake: in.Limit.Brake,
		},
		Breaker: Breaker(in.Breaker),
		Rate:    d.Rate,
	}
}

func (d Downstream) consumer() consumer.Downstream {
	return consumer.Downstream{
		Limit: consumer.Limit{
			Algorithm: limiter.Algorithm(d.Limit.Algorithm), Min: d.Limit.Min, Max: d.Limit.Max,
			Initial: d.Limit.Initial, Target: d.Limit.Target, Brake: d.Limit.Brake,
		},
		Breaker: consumer.Breaker(d.Breaker),
		Rate:    d.Rate.limiter(), SharedRate: d.Rate.Shared,
	}
}

func (c *Config) downstreams() map[string]consumer.Downstream {
	if len(c.Downstreams) == 0 {
		return nil
	}
	to := make(map[string]consumer.Downstream, len(c.Downstreams))
	for name, d := range c.Downstreams {
		to[name] = d.consumer()
	}
	return to
}

// checkDownstreams reports downstreams that cannot be, and those that no handler names.
func (c *checker) checkDownstreams(f *File) {
	var used []string
	for _, h := range f.Handlers {
		used = append(used, h.Downstream)
	}
	slices.Sort(used)
	used = slices.Compact(used)
	for _, name := range slices.Sorted(maps.Keys(f.Downstreams)) {
		path, d := "downstreams."+name, f.Downstreams[name]
		c.that(slices.Contains(used, name), path, "%s is used by no handler, must be one of those that handlers name: %s", path, strings.Join(used, ", "))
		if c.checkRate(path+".rate", d.Rate) {
			c.translate(path, d.consumer().Validate(path))
		}
	}
}

// checkRate reports a burst of no rate, and a rate that nobody shares.
func (c *checker) checkRate(path string, r Rate) bool {
	beside := "burst"
	if r.Shared {
		beside = "shared"
	}
	ok := r.Limit.Events > 0 || r.Burst == 0 && !r.Shared
	c.that(ok, path, "%s.limit is required beside %s, like 100/s", path, beside)
	c.that(!ok || !r.Shared || c.redis, path+".shared", "%s.shared is true, must not be without redis.url, like redis://127.0.0.1:6379/0", path)
	return ok
}

// Rate is how many may start in a time: written 100/s, or as a mapping with a burst, or one
// that is shared by all processes. The zero Rate is none.
type Rate struct {
	Limit  PerTime `yaml:"limit"`
	Burst  int     `yaml:"burst,omitempty" zero:"refuse"`
	Shared bool    `yaml:"shared,omitempty"`
}

// UnmarshalText takes a rate that is written as one word; an empty one is none.
func (r *Rate) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*r = Rate{}
		return nil
	}
	return r.Limit.UnmarshalText(text)
}

// Describe is how a rate is asked for.
func (*Rate) Describe() string { return "a rate like 100/s, or {limit: 100/s, burst: 20}" }

// MarshalYAML writes r as one word if that says all.
func (r Rate) MarshalYAML() (any, error) {
	switch {
	case r == Rate{}:
		return "", nil
	case r.Burst == 0 && !r.Shared:
		return limiter.Rate(r.Limit).String(), nil
	}
	type mapping Rate
	return mapping(r), nil
}

func (r Rate) limiter() limiter.Rate {
	to := limiter.Rate(r.Limit)
	to.Burst = r.Burst
	return to
}

// PerTime is a rate without its burst.
type PerTime limiter.Rate

// UnmarshalText reads 100/s, 5/m, 1/h or 10/30s.
func (p *PerTime) UnmarshalText(text []byte) error {
	r, err := limiter.ParseRate(string(text))
	if _, bare := strconv.ParseFloat(string(text), 64); bare == nil {
		return fmt.Errorf("is %.64s, which has no time; write %.64s/s for so many a second", text, text)
	}
	if err != nil {
		return fmt.Errorf("is %.64q, must be a rate like 100/s, 5/m or 1/h, of 1e9 a second at most and one in 366 days at least", text)
	}
	*p = PerTime(r)
	return nil
}

// Describe is how such a rate is asked for.
func (*PerTime) Describe() string { return "a rate like 100/s, 5/m or 1/h" }

// MarshalYAML writes p as UnmarshalText reads it.
func (p PerTime) MarshalYAML() (any, error) { return limiter.Rate(p).String(), nil }
