package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/spillwaymq/spillway/cmd/worker/internal/strictyaml"
)

// commands is the command line.
type commands struct {
	Run         runCommand         `cmd:"" help:"Consume a stream with the handlers of a config file."`
	Demo        demoCommand        `cmd:"" help:"See it work: a NATS server, tenants with traffic and a downstream, all in this process."`
	Bench       benchCommand       `cmd:"" help:"Prove what Spillway claims, on this machine, beside a plain nats.go consumer."`
	Load        loadCommand        `cmd:"" help:"Make load at a rate, whatever the answers, and measure what users would wait for."`
	Tenants     tenantsCommand     `cmd:"" help:"List tenants; pause, resume, set and reset them through a running worker, in all processes."`
	Lag         lagCommand         `cmd:"" help:"Show the backlog of the durable, by lane and by tenant."`
	DLQ         dlqCommand         `cmd:"" name:"dlq" help:"List, show, replay and discard dead letters."`
	Validate    validateCommand    `cmd:"" help:"Check a config file and what it names, without connecting to anything."`
	Healthcheck healthcheckCommand `cmd:"" help:"Ask a running worker whether it is ready; exit 0 or 1."`
	Version     versionCommand     `cmd:"" help:"Show the version of this program."`
}

// process is what a command has of the process it runs in.
type process struct {
	stdout, stderr *os.File
	environ        []string
	exit           func(code int) // ends the process at once
	log            *slog.Logger   // nil until the config has said how to log
}

const description = `Multi-tenant work on NATS JetStream.

Exit codes: 0 clean, 1 failed, 2 wrong usage or config, 3 NATS unreachable at start, 4 the drain ran out of time.`

// execute runs the command line and returns the exit code.
func execute(args []string, p *process) int {
	exited := -1
	parser, err := kong.New(&commands{},
		kong.Name("worker"),
		kong.Description(description),
		kong.Writers(p.stdout, p.stderr),
		kong.Vars{"reasons": reasonList()},
		kong.Exit(func(code int) { exited = code }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, FlagsLast: true}),
	)
	if err != nil {
		return report(p, err)
	}
	ctx, err := parser.Parse(args)
	if exited >= 0 { // --help was answered
		return exited
	}
	if err != nil {
		return report(p, &usageError{helpWithout(err)})
	}
	return report(p, ctx.Run(p))
}

// helpWithout shows the help to somebody who gave no command, or only the first word of
// one. It is still wrong usage: a script must not take it for work that was done.
func helpWithout(err error) error {
	parse, ok := errors.AsType[*kong.ParseError](err)
	if !ok || !strings.HasPrefix(err.Error(), "expected one of ") {
		return err
	}
	if e := parse.Context.PrintUsage(false); e != nil {
		return e
	}
	return errors.New("a command is missing")
}

// report says what failed and returns the exit code for it.
func report(p *process, err error) int {
	code, tip := exitCode(err), hint(err)
	failed := "worker failed"
	if code == exitDrain {
		failed = "the worker ended before its work was done"
	}
	switch {
	case code == exitClean:
	case p.log != nil && code != exitUsage && tip != "":
		p.log.Error(failed, "error", err, "hint", tip, "exit_code", code)
	case p.log != nil && code != exitUsage:
		p.log.Error(failed, "error", err, "exit_code", code)
	case tip != "":
		fmt.Fprintf(p.stderr, "worker: %v\n%s\n", err, tip)
	case errors.As(err, new(strictyaml.Problems)): // each line begins with its place
		fmt.Fprintln(p.stderr, err)
	default:
		fmt.Fprintf(p.stderr, "worker: %v\n", err)
	}
	return code
}
