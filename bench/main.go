package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/measure"
)

// Exit codes.
const (
	exitHeld   = 0
	exitMissed = 1
	exitUsage  = 2
)

func main() {
	if name := os.Getenv(bubbleEnv); name != "" {
		bubble(name)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	code := execute(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// scenario is one thing to measure.
type scenario struct {
	name      string
	run       func(ctx context.Context, e *env) ([]row, error)
	roundTrip time.Duration // to the server, unless --rtt says another
}

// scenarios in the order of "all".
func scenarios() []scenario {
	return []scenario{
		{name: "throughput", run: throughput},
		{name: "distance", run: distant, roundTrip: 5 * time.Millisecond},
		{name: "isolation", run: isolation},
		{name: "memory", run: memory},
		{name: "scheduler", run: schedule},
		{name: "overload", run: overload},
		{name: "demo-limiters", run: demoLimiters},
		{name: "primitives", run: primitives},
		{name: "redis", run: redisBuckets},
	}
}

func names() []string {
	var all []string
	for _, s := range scenarios() {
		all = append(all, s.name)
	}
	return all
}

// env is what a scenario works with.
type env struct {
	settings
	broker *broker
	js     jetstream.JetStream // for filling and asking
	log    io.Writer
}

// say tells the user what goes on.
func (e *env) say(format string, args ...any) { _, _ = fmt.Fprintf(e.log, format+"\n", args...) }

// wanted reports whether --only lets the contestant of that name run.
func (e *env) wanted(name string) bool {
	return strings.Contains(strings.ToLower(name), strings.ToLower(e.only))
}

// execute is main without the process.
func execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == childArg {
		return child(ctx, os.Stdin, stdout, stderr)
	}
	s, err := parse(args, stderr)
	if err != nil {
		return exitUsage
	}
	rep := report{Machine: measure.ThisMachine()}
	for _, sc := range scenarios() {
		if s.scenario != "all" && s.scenario != sc.name {
			continue
		}
		rows, err := runOne(ctx, s, sc, stderr)
		if err != nil {
			_, _ = fmt.Fprintln(stderr, err)
			return exitMissed
		}
		rep.Rows = append(rep.Rows, rows...)
	}
	write := rep.writeTable
	if s.json {
		write = rep.writeJSON
	}
	if err := write(stdout); err != nil || !rep.held() {
		return exitMissed
	}
	return exitHeld
}

// runOne runs sc on a server of its own.
func runOne(ctx context.Context, s settings, sc scenario, log io.Writer) (rows []row, err error) {
	b, err := startBroker(s.tcp, orDefault(s.roundTrip, sc.roundTrip))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.stop()) }()
	js, err := b.connectNear()
	if err != nil {
		return nil, err
	}
	defer js.Conn().Close()
	return sc.run(ctx, &env{settings: s, broker: b, js: js, log: log})
}
