package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes, written 64MiB, 10GB or 4096.
type Size int64

// units are what a number of bytes may be written in, the largest first.
var units = []struct {
	name  string
	bytes int64
}{
	{"TiB", 1 << 40}, {"TB", 1e12},
	{"GiB", 1 << 30}, {"GB", 1e9},
	{"MiB", 1 << 20}, {"MB", 1e6},
	{"KiB", 1 << 10}, {"kB", 1e3}, {"KB", 1e3},
	{"B", 1},
}

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	number, scale := strings.TrimSpace(string(text)), int64(1)
	for _, u := range units {
		if n, ok := strings.CutSuffix(number, u.name); ok {
			number, scale = strings.TrimSpace(n), u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	bytes := n * float64(scale)
	switch {
	case err != nil || math.IsNaN(n) || bytes != math.Trunc(bytes):
		return fmt.Errorf("is %.64q, must be a size like 64MiB, 10GB or 4096", text)
	case bytes >= math.MaxInt64 || bytes < unbounded:
		return fmt.Errorf("is %.64q, which is out of range", text)
	}
	*s = Size(bytes)
	return nil
}

// Describe is how a size is asked for.
func (*Size) Describe() string { return "a size like 64MiB, 10GB or 4096" }

// MarshalYAML writes s in the largest unit that keeps it whole.
func (s Size) MarshalYAML() (any, error) {
	for _, u := range units {
		if n := int64(s) / u.bytes; u.bytes > 1 && n > 0 && int64(s)%u.bytes == 0 {
			return strconv.FormatInt(n, 10) + u.name, nil
		}
	}
	return int64(s), nil
}
