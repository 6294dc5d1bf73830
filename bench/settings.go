package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// settings are the flags. A zero number is the default of the scenario.
type settings struct {
	scenario   string
	messages   int
	repeat     int
	lap        time.Duration
	tcp        bool
	roundTrip  time.Duration
	json       bool
	only       string
	cpuProfile string
	memProfile string
	svg        string
}

// Bounds of the flags.
const (
	maxMessages = 100_000_000
	maxRepeat   = 1000
	maxLap      = time.Hour
	maxTrip     = time.Second
)

// errUsage is for mistakes that are printed already.
var errUsage = errors.New("wrong usage")

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.Usage = func() {
		_, _ = fmt.Fprintf(stderr, "usage: bench [flags] %s|all\n\n", strings.Join(names(), "|"))
		fs.PrintDefaults()
	}
	fs.IntVar(&s.messages, "messages", 0, "messages of a stream (default: 200,000; isolation 10,000; memory 1,000,000)")
	fs.IntVar(&s.repeat, "repeat", 0, "rounds (default 3)")
	fs.DurationVar(&s.lap, "for", 0, "how long one run of isolation (default 5s), memory (7s) or redis (10s) takes")
	fs.BoolVar(&s.tcp, "tcp", false, "connect over loopback TCP instead of in memory")
	fs.DurationVar(&s.roundTrip, "rtt", 0, "put the server so far away from the contestants; implies --tcp")
	fs.BoolVar(&s.json, "json", false, "print JSON")
	fs.StringVar(&s.only, "only", "", "run only the contestants of throughput and memory whose name contains this (\"100 tenants: spillway\")")
	fs.StringVar(&s.cpuProfile, "cpuprofile", "", "write a CPU profile of the runs of throughput and isolation to this file")
	fs.StringVar(&s.memProfile, "memprofile", "", "write a profile of all allocations of throughput and isolation to this file")
	fs.StringVar(&s.svg, "svg", "", "draw overload or demo-limiters to this file")
	// The scenario may come before the flags or after them.
	if len(args) > 0 && !strings.HasPrefix(args[0], "-") {
		s.scenario, args = args[0], args[1:]
	}
	if err := fs.Parse(args); err != nil {
		return s, fmt.Errorf("%w: %w", errUsage, err)
	}
	rest := fs.Args()
	if s.scenario == "" && len(rest) > 0 {
		s.scenario, rest = rest[0], rest[1:]
	}
	if err := s.validate(rest); err != nil {
		_, _ = fmt.Fprintln(stderr, err)
		return s, fmt.Errorf("%w: %w", errUsage, err)
	}
	return s, nil
}

func (s settings) validate(rest []string) error {
	var errs []error
	if len(rest) > 0 {
		errs = append(errs, fmt.Errorf("bench: unexpected %q: flags come before or after the one scenario", rest))
	}
	if s.scenario != "all" && !slices.Contains(names(), s.scenario) {
		errs = append(errs, fmt.Errorf("bench: the scenario is %q, must be one of %s, all", s.scenario, strings.Join(names(), ", ")))
	}
	if s.messages < 0 || s.messages > maxMessages {
		errs = append(errs, fmt.Errorf("bench: --messages is %d, must be between 0 and %d", s.messages, maxMessages))
	}
	if s.repeat < 0 || s.repeat > maxRepeat {
		errs = append(errs, fmt.Errorf("bench: --repeat is %d, must be between 0 and %d", s.repeat, maxRepeat))
	}
	if s.lap < 0 || s.lap > maxLap {
		errs = append(errs, fmt.Errorf("bench: --for is %v, must be between 0 and %v", s.lap, maxLap))
	}
	if s.roundTrip < 0 || s.roundTrip > maxTrip {
		errs = append(errs, fmt.Errorf("bench: --rtt is %v, must be between 0 and %v", s.roundTrip, maxTrip))
	}
	return errors.Join(errs...)
}

// orDefault is value, unless it was left at zero.
func orDefault[T int | time.Duration](value, standard T) T {
	if value == 0 {
		return standard
	}
	return value
}
