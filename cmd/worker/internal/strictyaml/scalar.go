package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
)

var durationType = reflect.TypeFor[time.Duration]()

// accepts reports whether a scalar of n's kind may be written for v. A number is no
// string, so that a name made of digits is not read as one by accident.
func accepts(v reflect.Value, n ast.Node) bool {
	if _, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok || v.Type() == durationType {
		return true // the type says itself what is wrong with the text
	}
	switch n.(type) {
	case *ast.StringNode, *ast.LiteralNode:
		return v.Kind() == reflect.String
	case *ast.BoolNode:
		return v.Kind() == reflect.Bool
	case *ast.IntegerNode:
		return v.CanInt() || v.CanFloat()
	case *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		return v.CanFloat()
	}
	return false
}

func describeType(t reflect.Type) string {
	if d, ok := reflect.New(t).Interface().(interface{ Describe() string }); ok {
		return d.Describe()
	}
	switch t.Kind() {
	case reflect.String:
		return "a string (in quotes, if it looks like something else)"
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list"
	}
	return "a mapping"
}

// setText sets t from text, if its type and its rules allow.
func setText(t target, text string) error {
	v := reflect.New(t.value.Type()).Elem()
	if err := parse(v, text); err != nil {
		return err
	}
	if t.rules.Get("zero") == "refuse" && v.IsZero() {
		return fmt.Errorf("is %s, must not be; leave the key out for the default", text)
	}
	if words := strings.Fields(t.rules.Get("oneof")); len(words) > 0 && !slices.Contains(words, text) {
		return fmt.Errorf("is %.*q, must be one of %s", maxShown, text, strings.Join(words, ", "))
	}
	t.value.Set(v)
	return nil
}

func parse(v reflect.Value, text string) error {
	if u, ok := v.Addr().Interface().(encoding.TextUnmarshaler); ok {
		return u.UnmarshalText([]byte(text))
	}
	if v.Type() == durationType {
		return parseDuration(v, text)
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
		return nil
	case reflect.Slice:
		v.Set(reflect.ValueOf(splitList(text)))
		return nil
	}
	return parseNumber(v, text)
}

func parseNumber(v reflect.Value, text string) error {
	var err error
	switch v.Kind() {
	case reflect.Bool:
		var b bool
		b, err = strconv.ParseBool(text)
		v.SetBool(b)
	case reflect.Float64:
		var f float64
		f, err = strconv.ParseFloat(text, 64)
		if err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			err = strconv.ErrRange
		}
		v.SetFloat(f)
	default:
		var i int64
		i, err = strconv.ParseInt(text, 0, v.Type().Bits())
		v.SetInt(i)
	}
	switch {
	case errors.Is(err, strconv.ErrRange):
		return fmt.Errorf("is %.*q, which is out of range", maxShown, text)
	case err != nil:
		return fmt.Errorf("is %.*q, must be %s", maxShown, text, describeType(v.Type()))
	}
	return nil
}

func parseDuration(v reflect.Value, text string) error {
	d, err := time.ParseDuration(text)
	if _, bare := strconv.ParseFloat(text, 64); bare == nil {
		return fmt.Errorf("is %s, which has no unit; write %ss for seconds or %sms for milliseconds", text, text, text)
	}
	if err != nil {
		return fmt.Errorf("is %.*q, must be a duration like 250ms, 30s or 5m", maxShown, text)
	}
	v.SetInt(int64(d))
	return nil
}

func splitList(text string) []string {
	var list []string
	for item := range strings.SplitSeq(text, ",") {
		if item = strings.TrimSpace(item); item != "" {
			list = append(list, item)
		}
	}
	return list
}
