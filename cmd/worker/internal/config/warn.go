package config

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spillwaymq/spillway/cmd/worker/internal/strictyaml"
	"github.com/spillwaymq/spillway/consumer"
)

// messageVariables is what the variables begin with that tell a command its message. A
// worker that was started by such a command inherits them.
const messageVariables = variablePrefix + "MSG_"

// FileVariable is the variable that names the config file.
const FileVariable = variablePrefix + "CONFIG"

// Warnings returns what is no mistake, but hardly meant: variables that are of no key,
// and handlers that get no message.
func (c *Config) Warnings() []string {
	var rules checker
	rules.file, rules.origins = c.name, c.origins
	mux := new(consumer.Mux)
	for _, h := range c.Handlers {
		mux.Route(consumer.Route{Subject: h.Subject, Handler: consumer.HandlerFunc(nil)})
	}
	unreached := mux.Unreached(consumer.Config{Subjects: c.Subjects, FilterSubjects: c.FilterSubjects})
	for i, h := range c.Handlers {
		path := fmt.Sprintf("handlers[%d].subject", i)
		rules.that(!slices.Contains(unreached, h.Subject), path, "warning: %s is %q, which matches nothing that is taken, %s", path, h.Subject, c.taken())
	}
	warnings := slices.Clone(c.unknown)
	for _, p := range rules.problems {
		warnings = append(warnings, p.String())
	}
	return warnings
}

// taken says what of its stream the durable takes.
func (c *Config) taken() string {
	var from []string
	if len(c.Subjects) > 0 {
		from = append(from, fmt.Sprintf("subjects %q", c.Subjects))
	}
	if len(c.FilterSubjects) > 0 {
		from = append(from, fmt.Sprintf("filter_subjects %q", c.FilterSubjects))
	}
	return strings.Join(from, " and ")
}

// unknownVariables returns a warning for each of our variables that is of no key.
func unknownVariables(variables map[string]string, known []string) (warnings []string) {
	rests := make([]string, len(known)) // the prefix says nothing about who is near
	for i, name := range known {
		rests[i] = strings.TrimPrefix(name, variablePrefix)
	}
	for name := range variables {
		if slices.Contains(known, name) || name == FileVariable || strings.HasPrefix(name, messageVariables) {
			continue
		}
		hint := ""
		if near, ok := strictyaml.Nearest(strings.TrimPrefix(name, variablePrefix), rests); ok {
			hint = fmt.Sprintf(" (did you mean %s?)", variablePrefix+near)
		}
		warnings = append(warnings, fmt.Sprintf("%s: warning: ignored, it is of no key%s", name, hint))
	}
	slices.Sort(warnings)
	return warnings
}
