package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// fieldName is a field of consumer.Config as its errors name it.
var fieldName = regexp.MustCompile(`\b(Stream|Durable|Subjects|FilterSubjects|Deliver|Workers|AckWait|Buffer|Tenants|Retry|DeadLetter|Overflow|DrainTimeout)\b(\.[A-Z]\w*)*`)

// siblings are fields that errors name beside the one that they are about.
var siblings = regexp.MustCompile(`\b(Min|Max)\b`)

// translate reports an error of package consumer in the words of the file, each of
// its parts at the first key it names. prefix is what the names in err begin with
// when they are no fields of consumer.Config.
func (c *checker) translate(prefix string, err error) {
	if err == nil {
		return
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, e := range joined.Unwrap() {
			c.translate(prefix, e)
		}
		return
	}
	text := strings.TrimPrefix(err.Error(), "consumer: ")
	text, within := strings.CutPrefix(text, prefix+".")
	// A name stands before what is said about it; a value is never translated.
	names, said, found := strings.Cut(text, " is ")
	if within {
		names = prefix + "." + snake(names)
	} else {
		names = fieldName.ReplaceAllStringFunc(names, keyOf)
	}
	path := names
	if strings.HasPrefix(text, "route") {
		path = c.handlerOf(text)
	}
	if i := strings.IndexAny(path, ", "); !within && i >= 0 {
		path = names[:i]
	}
	if found {
		if within {
			said = siblings.ReplaceAllStringFunc(said, strings.ToLower)
			said = strings.ReplaceAll(said, prefix+".Breaker.Open", prefix+".breaker.open")
		}
		names += " is " + said
	}
	c.report(path, "%s", names)
}

// handlerOf returns the path of the last handler whose subject an error quotes.
func (c *checker) handlerOf(text string) string {
	for i, h := range slices.Backward(c.handlers) {
		if strings.Contains(text, strconv.Quote(h.Subject)) {
			return fmt.Sprintf("handlers[%d].subject", i)
		}
	}
	return "handlers"
}

// keyOf returns the key of a field: Retry.MaxAttempts is retry.max_attempts.
func keyOf(field string) string {
	key := snake(field)
	if rest, ok := strings.CutPrefix(key, "tenants."); ok {
		return "tenants.default." + rest
	}
	return key
}

func snake(s string) string {
	var b strings.Builder
	previous := '.'
	for _, r := range s {
		if unicode.IsUpper(r) && previous != '.' {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
		previous = r
	}
	return b.String()
}

// Explain returns an error of consumer.New in the words of the file.
func (c *Config) Explain(err error) error {
	rules := checker{file: c.name, origins: c.origins, handlers: c.Handlers}
	rules.translate("", err)
	return rules.problems.Err()
}

// Problem returns err as a mistake at the key of path.
func (c *Config) Problem(path string, err error) error {
	rules := checker{file: c.name, origins: c.origins}
	rules.report(path, "%s: %v", path, err)
	return rules.problems.Err()
}
