package strictyaml

import (
	"encoding"
	"fmt"
	"iter"
	"reflect"
	"strings"
	"time"
)

// fields are those of a struct that have a key.
type fields []reflect.StructField

func fieldsOf(t reflect.Type) fields {
	var fs fields
	for f := range t.Fields() {
		if key(f) != "" {
			fs = append(fs, f)
		}
	}
	return fs
}

func key(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
	return name
}

func (fs fields) names() []string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = key(f)
	}
	return names
}

func (fs fields) named(name string) (reflect.StructField, bool) {
	for _, f := range fs {
		if key(f) == name {
			return f, true
		}
	}
	return reflect.StructField{}, false
}

// Leaves yields the dotted paths that Set takes in the struct that of points to:
// the scalars and the lists of strings that are reached by structs alone.
func Leaves(of any) iter.Seq[string] {
	return func(yield func(string) bool) {
		leaves(target{value: reflect.ValueOf(of).Elem()}, func(t target) bool { return yield(t.path) })
	}
}

// Set sets one field of the struct that into points to. A list is written with
// commas.
func Set(into any, path, text string) error {
	var found *target
	var known []string
	leaves(target{value: reflect.ValueOf(into).Elem()}, func(t target) bool {
		known = append(known, t.path)
		if t.path == path {
			found = &t
		}
		return found == nil
	})
	if found == nil {
		return fmt.Errorf("unknown key %q (%s)", path, suggest(path, known))
	}
	if err := setText(*found, text); err != nil {
		return fmt.Errorf("%s %w", path, err)
	}
	return nil
}

func leaves(t target, yield func(target) bool) bool {
	if isLeaf(t.value.Type()) || t.value.Type() == reflect.TypeFor[[]string]() {
		return yield(t)
	}
	if t.value.Kind() != reflect.Struct {
		return true
	}
	for _, f := range fieldsOf(t.value.Type()) {
		if !leaves(target{value: t.value.FieldByIndex(f.Index), path: join(t.path, key(f)), rules: f.Tag}, yield) {
			return false
		}
	}
	return true
}

// isLeaf reports whether a value of type t is written as a scalar.
func isLeaf(t reflect.Type) bool {
	if t == reflect.TypeFor[time.Duration]() || reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()) {
		return true
	}
	switch t.Kind() {
	case reflect.String, reflect.Bool, reflect.Int, reflect.Int64, reflect.Float64:
		return true
	}
	return false
}
