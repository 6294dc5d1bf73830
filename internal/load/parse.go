package load

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// ParseStage reads a stage as it is written on a command line: 100/s:30s is a constant
// rate, 100/s..1000/s:30s a ramp.
func ParseStage(s string) (Stage, error) {
	rates, length, found := strings.Cut(s, ":")
	if !found {
		return Stage{}, fmt.Errorf("%q is no stage: it must be like 100/s:30s, or 100/s..1000/s:30s", s)
	}
	from, to, ramp := strings.Cut(rates, "..")
	if !ramp {
		to = from
	}
	first, err := ParseRate(from)
	if err != nil {
		return Stage{}, err
	}
	last, err := ParseRate(to)
	if err != nil {
		return Stage{}, err
	}
	d, err := time.ParseDuration(length)
	if err != nil {
		return Stage{}, fmt.Errorf("%q is no duration: it must be like 30s", length)
	}
	stage := Stage{From: first, To: last, For: d}
	if err := stage.check(); err != nil {
		return Stage{}, fmt.Errorf("%q: %w", s, err)
	}
	return stage, nil
}

// ParseRate reads 100/s, 5/m or 1/h, and returns the rate per second.
func ParseRate(s string) (float64, error) {
	number, unit, _ := strings.Cut(s, "/")
	seconds, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err == nil && number == s {
		return 0, fmt.Errorf("%q is no rate, it lacks the time: write %s/s for so many a second", s, s)
	}
	if err != nil || !known {
		return 0, fmt.Errorf("%q is no rate: it must be like 100/s, 5/m or 1/h", s)
	}
	if rate := n / seconds; rate >= 0 && rate <= maxRate {
		return rate, nil
	}
	return 0, fmt.Errorf("%q is no rate: it must be from 0 to %g/s", s, float64(maxRate))
}

// String returns the stage as ParseStage reads it.
func (s Stage) String() string {
	rate := func(r float64) string { return strconv.FormatFloat(r, 'g', 6, 64) + "/s" }
	if s.From == s.To {
		return rate(s.From) + ":" + s.For.String()
	}
	return rate(s.From) + ".." + rate(s.To) + ":" + s.For.String()
}
