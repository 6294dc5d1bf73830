package config

import (
	"strings"

	"github.com/spillwaymq/spillway/cmd/worker/internal/strictyaml"
)

// origin is where a value was given: in the file, by a variable or by a flag.
type origin struct {
	source   string
	position strictyaml.Position
}

type origins map[string]origin

// nearest returns where path was given, or else what is around it.
func (os origins) nearest(path string) (origin, bool) {
	for path != "" {
		if o, ok := os[path]; ok {
			return o, true
		}
		path = parent(path)
	}
	return origin{}, false
}

// parent returns the path of what path is in, "" at the top.
func parent(path string) string { return path[:max(strings.LastIndexAny(path, ".["), 0)] }

// has reports whether path was given.
func (os origins) has(path string) bool {
	_, ok := os[path]
	return ok
}
