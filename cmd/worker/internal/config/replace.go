package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// replaceable are the keys that may be different while a worker runs, with all below them.
var replaceable = []string{"tenants", "downstreams", "retry", "workers", "log.level"}

// Replaceable reports every key in which next differs and that cannot be changed while a
// worker runs.
func (c *Config) Replaceable(next *Config) error {
	rules := checker{file: next.name, origins: next.origins}
	for _, path := range differences("", reflect.ValueOf(c.File), reflect.ValueOf(next.File)) {
		rules.report(path, "%s cannot be changed while the worker runs: restart it for that; reloaded are %s", path, strings.Join(replaceable, ", "))
	}
	return rules.problems.Err()
}

// differences returns the keys of what differs, and of no more than that.
func differences(path string, a, b reflect.Value) []string {
	if slices.Contains(replaceable, path) || reflect.DeepEqual(a.Interface(), b.Interface()) {
		return nil
	}
	switch a.Kind() {
	case reflect.Struct:
		return differentFields(path, a, b)
	case reflect.Pointer:
		if !a.IsNil() && !b.IsNil() {
			return differences(path, a.Elem(), b.Elem())
		}
	case reflect.Slice:
		if a.Len() == 0 && b.Len() == 0 {
			return nil
		}
		if a.Len() == b.Len() && a.Type().Elem().Kind() == reflect.Struct {
			return differentItems(path, a, b)
		}
	case reflect.Map:
		if a.Len() == 0 && b.Len() == 0 {
			return nil
		}
	default:
	}
	return []string{path}
}

func differentFields(path string, a, b reflect.Value) (all []string) {
	for i := range a.NumField() {
		name, _, _ := strings.Cut(a.Type().Field(i).Tag.Get("yaml"), ",")
		if path != "" {
			name = path + "." + name
		}
		all = append(all, differences(name, a.Field(i), b.Field(i))...)
	}
	return all
}

func differentItems(path string, a, b reflect.Value) (all []string) {
	for i := range a.Len() {
		all = append(all, differences(fmt.Sprintf("%s[%d]", path, i), a.Index(i), b.Index(i))...)
	}
	return all
}
