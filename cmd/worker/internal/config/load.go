package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spillwaymq/spillway/cmd/worker/internal/strictyaml"
)

// maxFile bounds a config file; it is in memory several times over.
const maxFile = 8 << 20

// Sources is what a config is made from besides the file.
type Sources struct {
	Environ []string // KEY=value, as os.Environ returns it
	Set     []string // key=value, from flags; they win
}

// Config is a File that was completed and checked.
type Config struct {
	File

	name     string
	origins  origins
	unknown  []string            // warnings of variables that are of no key
	mistakes strictyaml.Problems // none, but of a Config that Read returned with an error
}

// Load reads the file called name.
func Load(name string, from Sources) (*Config, error) {
	c, err := Read(name, from)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// Read is Load for who looks for all mistakes: beside them it returns what could be read, to look
// for more in that, and to put together by With. It is nil if there is no file.
func Read(name string, from Sources) (*Config, error) {
	data, err := read(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the config file cannot be read: %w (--config names another)", err)
	}
	if err != nil {
		return nil, fmt.Errorf("the config file cannot be read: %w", err)
	}
	c := parse(name, data, from)
	return c, c.mistakes.Err()
}

func read(name string) ([]byte, error) {
	info, err := os.Stat(name)
	if err != nil {
		return nil, err
	}
	if info.Size() > maxFile {
		return nil, fmt.Errorf("%s is %d bytes long, must be at most %d", name, info.Size(), maxFile)
	}
	return os.ReadFile(name)
}

// Parse is Load for a file that is in memory.
func Parse(name string, data []byte, from Sources) (*Config, error) {
	c := parse(name, data, from)
	if err := c.mistakes.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func parse(name string, data []byte, from Sources) *Config {
	c := &Config{File: Default(), name: name, origins: make(origins)}
	positions, problems := strictyaml.Decode(name, data, &c.File)
	for path, position := range positions {
		c.origins[path] = origin{source: name, position: position}
	}
	problems = append(problems, c.override(from)...)
	c.complete()
	c.mistakes = append(problems, c.check().without(problems, c.origins)...)
	return c
}

// With returns the mistakes of c and those that were found in it since, as Explain and Problem
// return them, less what only follows from the former; nil if there are none.
func (c *Config) With(found error) error {
	problems, others := split(found)
	all := append(slices.Clone(c.mistakes), findings(problems).without(c.mistakes, c.origins)...)
	return errors.Join(append([]error{all.Err()}, others...)...)
}

// split returns the problems within err, and what else is in it.
func split(err error) (problems strictyaml.Problems, others []error) {
	if err == nil {
		return nil, nil
	}
	if found, ok := err.(strictyaml.Problems); ok { //nolint:errorlint // what wraps it is looked at below
		return found, nil
	}
	var within []error
	switch wrapper := err.(type) { //nolint:errorlint // one wrapper after another
	case interface{ Unwrap() []error }:
		within = wrapper.Unwrap()
	case interface{ Unwrap() error }:
		within = []error{wrapper.Unwrap()}
	}
	if len(within) == 0 || errors.Join(within...).Error() != err.Error() { // it says more than they do
		return nil, []error{err}
	}
	for _, e := range within {
		ps, more := split(e)
		problems, others = append(problems, ps...), append(others, more...)
	}
	return problems, others
}

// override applies the environment, then the flags.
func (c *Config) override(from Sources) strictyaml.Problems {
	var problems strictyaml.Problems
	set := func(source, path, text string) {
		if err := strictyaml.Set(&c.File, path, text); err != nil {
			problems = append(problems, strictyaml.Problem{Path: path, Source: source, Text: err.Error()})
			return
		}
		c.origins[path] = origin{source: source}
	}
	variables := variablesOf(from.Environ)
	var known []string
	for path := range strictyaml.Leaves(&c.File) {
		known = append(known, Variable(path))
		if text := variables[Variable(path)]; text != "" {
			set(Variable(path), path, text)
		}
	}
	c.unknown = unknownVariables(variables, known)
	for _, assignment := range from.Set {
		path, text, ok := strings.Cut(assignment, "=")
		if !ok {
			problems = append(problems, strictyaml.Problem{Path: assignment, Source: "--set " + assignment, Text: "must be key=value"})
			continue
		}
		set("--set "+path, path, text)
	}
	return problems
}

// variablePrefix is what our variables begin with.
const variablePrefix = "SPILLWAY_"

// Variable returns the name of the environment variable of a key.
func Variable(path string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

func variablesOf(environ []string) map[string]string {
	variables := make(map[string]string)
	for _, e := range environ {
		if name, value, ok := strings.Cut(e, "="); ok && strings.HasPrefix(name, variablePrefix) {
			variables[name] = value
		}
	}
	return variables
}

// check applies all rules but those of the handlers' routes, which are the Mux's.
func (c *Config) check() findings {
	rules := checker{file: c.name, origins: c.origins, redis: c.Redis.URL != ""}
	rules.checkFile(&c.File)
	rules.checkDownstreams(&c.File)
	cfg := c.Consumer()
	cfg.Downstreams = nil // they have their place
	cfg.SharedRate = OwnRate
	rules.translate("", cfg.Validate())
	if rules.problems.About("tenants.default") {
		return findings(rules.problems) // each override would have the same mistakes
	}
	for name, patch := range c.Tenants.Overrides {
		prefix := "tenants.overrides." + name
		rules.translate(prefix, c.policy(patch).consumer().Validate(prefix))
	}
	return findings(rules.problems)
}

// findings are mistakes that were found by rules, in what was decoded.
type findings strictyaml.Problems

// without returns fs less those that only follow from what could not be decoded.
func (fs findings) without(earlier strictyaml.Problems, given origins) strictyaml.Problems {
	return slices.DeleteFunc(strictyaml.Problems(fs), func(f strictyaml.Problem) bool {
		return earlier.About(f.Path) || !given.has(f.Path) && slices.ContainsFunc(earlier, func(e strictyaml.Problem) bool {
			return e.Path == "" || parent(e.Path) == parent(f.Path) // nothing was read, or the key is misspelled
		})
	})
}
