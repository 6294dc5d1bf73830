package scenario

import (
	"fmt"
	"strconv"
	"time"
)

// Unit says how a Figure is to be read.
type Unit string

// The units.
const (
	PerSecond Unit = "per_second" // messages, or requests, a second
	Seconds   Unit = "seconds"
	Bytes     Unit = "bytes"
	Count     Unit = "count"
	Share     Unit = "share" // 1 is all
)

// Figure is a measured value. Without a unit there is none.
type Figure struct {
	Value float64 `json:"value"`
	Unit  Unit    `json:"unit,omitempty"`
	// AtLeast is true if it would be more, had the scenario waited for it.
	AtLeast bool `json:"at_least,omitempty"`
}

func ofDuration(d time.Duration) Figure { return Figure{Value: d.Seconds(), Unit: Seconds} }
func ofBytes[T int64 | uint64](n T) Figure {
	return Figure{Value: float64(n), Unit: Bytes}
}

func ofCount[T int | int64 | uint64](n T) Figure { return Figure{Value: float64(n), Unit: Count} }
func ofShare(part float64) Figure                { return Figure{Value: part, Unit: Share} }
func ofRate(perSecond float64) Figure            { return Figure{Value: perSecond, Unit: PerSecond} }

// String returns it for people.
func (f Figure) String() string {
	s := f.text()
	if f.AtLeast {
		return "> " + s
	}
	return s
}

func (f Figure) text() string {
	switch f.Unit {
	case PerSecond:
		if f.Value >= 10_000 {
			return strconv.FormatFloat(f.Value/1000, 'f', 1, 64) + "k/s"
		}
		return strconv.FormatFloat(f.Value, 'f', 0, 64) + "/s"
	case Seconds:
		return brief(time.Duration(f.Value * float64(time.Second)))
	case Bytes:
		return fmt.Sprintf("%.1f MiB", f.Value/(1<<20))
	case Count:
		return grouped(int64(f.Value))
	case Share:
		return fmt.Sprintf("%.1f %%", 100*f.Value)
	}
	return "-"
}

// brief returns d with three digits.
func brief(d time.Duration) string {
	unit := time.Duration(1)
	for d.Abs()/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// grouped writes 1234567 as 1,234,567.
func grouped(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
