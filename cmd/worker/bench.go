package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/cmd/worker/internal/strictyaml"
	"github.com/spillwaymq/spillway/internal/scenario"
)

// benchCommand proves the claims on this machine.
type benchCommand struct {
	Only     []string `sep:"none" placeholder:"NAME" help:"Run these scenarios alone, as flood,drain."`
	List     bool     `help:"List the scenarios, and run none."`
	JSON     bool     `help:"As one JSON document, durations in seconds."`
	Markdown bool     `help:"As a table of Markdown."`
	Seed     uint64   `default:"1" help:"Of all that is random (default ${default})."`
	Scale    float64  `default:"1" help:"Multiply sizes and times, for a look; bounds are meant for ${default}."`

	URL         string `name:"url" placeholder:"URL" help:"Run those that can on this NATS server, in streams of their own that are removed afterwards; without it a server is started in this process."`
	Credentials string `type:"path" placeholder:"FILE" help:"The credentials for --url, a .creds file."`

	Child bool `hidden:"" help:"Be a process of a scenario."`
}

// Validate is called by kong.
func (b *benchCommand) Validate() error {
	switch {
	case b.JSON && b.Markdown:
		return errors.New("--json and --markdown cannot be given both")
	case !(b.Scale > 0 && b.Scale <= 100):
		return fmt.Errorf("--scale is %v, must be above 0 and at most 100", b.Scale)
	case slices.Contains(b.names(), ""):
		return fmt.Errorf("--only is %q, must be one or more, with commas, of %s", strings.Join(b.Only, ","), strings.Join(scenario.Names(scenario.All()), ", "))
	case b.Credentials != "" && b.URL == "":
		return errors.New("--credentials are for --url, which is not given")
	}
	_, err := b.chosen()
	return err
}

// names returns what --only names. It is not split by kong, for which "" is no name at all.
func (b *benchCommand) names() (names []string) {
	for _, list := range b.Only {
		names = append(names, strings.Split(list, ",")...)
	}
	return names
}

// chosen returns the scenarios that --only names, or all.
func (b *benchCommand) chosen() ([]scenario.Scenario, error) {
	chosen, err := scenario.Choose(scenario.All(), b.names())
	unknown, ok := errors.AsType[*scenario.UnknownError](err)
	if !ok {
		return chosen, err
	}
	if near, ok := strictyaml.Nearest(unknown.Name, unknown.Known); ok {
		return nil, fmt.Errorf("--only: there is no scenario %q; did you mean %q?", unknown.Name, near)
	}
	return nil, fmt.Errorf("--only: %w", unknown)
}

// errFellShort ends a run whose table says why.
var errFellShort = errors.New("not every claim holds here")

// Run runs the scenarios and prints what became of them.
func (b *benchCommand) Run(p *process) error {
	if b.Child {
		return b.beChild(p)
	}
	chosen, err := b.chosen()
	if err != nil {
		return &usageError{err}
	}
	if b.List {
		return listScenarios(p.stdout, chosen, b.JSON)
	}
	report, err := b.bench(p, chosen)
	if err != nil {
		return err
	}
	if err := b.write(p.stdout, report); err != nil {
		return err
	}
	if report.Interrupted {
		return errors.New("ended by a signal, before it was done")
	}
	if !report.Holds() {
		return errFellShort
	}
	return nil
}

// bench runs the scenarios on the server of --url, or on one of its own.
func (b *benchCommand) bench(p *process, chosen []scenario.Scenario) (*scenario.Report, error) {
	tidy := *p
	remove := func() {}
	tidy.exit = func(code int) { // by a second signal
		remove()
		if b.URL != "" {
			fmt.Fprintf(p.stderr, "worker: streams may be left on the server: their names begin with %s\n", scenario.StreamPrefix)
		}
		p.exit(code)
	}
	log := slog.New(slog.DiscardHandler)
	to := natslink.Options{URL: b.URL, Shown: config.URL(b.URL).String(), Name: "spillway bench", Credentials: b.Credentials, Logger: log}
	if b.URL == "" {
		dir, removeDir, err := scratch()
		if err != nil {
			return nil, err
		}
		defer removeDir()
		remove = removeDir
		if to.Embedded, err = natslink.StartEmbedded(dir, "nats://127.0.0.1:0", log); err != nil {
			return nil, err
		}
		defer to.Embedded.Close()
		to.URL, to.Shown = to.Embedded.URL(), to.Embedded.URL()
	}
	ctx, release := untilSignal(context.Background(), &tidy, log, nil)
	defer release()
	progress := newBenchProgress(p.stderr)
	defer progress.clear()
	cfg := scenario.Config{
		Connect: connector(to), Server: scenario.Server{URL: to.URL, Credentials: b.Credentials}, Child: childOf,
		Embedded: b.URL == "", Seed: b.Seed, Scale: b.Scale, Version: readBuild().Version, Progress: progress.show,
	}
	if err := cfg.Validate(); err != nil {
		return nil, &usageError{err}
	}
	if err := reach(to); err != nil {
		return nil, err
	}
	return scenario.Run(ctx, cfg, chosen)
}

// reach tells at once that there is no server, or that it has no JetStream.
func reach(to natslink.Options) error {
	link, err := natslink.Connect(to)
	if err != nil {
		return err
	}
	defer link.Close()
	ctx, cancel := context.WithTimeout(context.Background(), accountTimeout)
	defer cancel()
	_, err = link.JetStream.AccountInfo(ctx)
	return err
}

func connector(to natslink.Options) func() (jetstream.JetStream, error) {
	return func() (jetstream.JetStream, error) {
		link, err := natslink.Connect(to)
		if err != nil {
			return nil, err
		}
		return link.JetStream, nil
	}
}

// childOf starts this program as a process of a scenario.
func childOf(ctx context.Context) (*exec.Cmd, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return exec.CommandContext(ctx, program, "bench", "--child"), nil
}

// beChild is such a process. Signals that a terminal sends to all of us are for the first.
func (b *benchCommand) beChild(p *process) error {
	_, release := untilSignal(context.Background(), p, slog.New(slog.DiscardHandler), nil)
	defer release()
	return scenario.ServeTask(context.Background(), os.Stdin, p.stdout, func(s scenario.Server) (jetstream.JetStream, error) {
		return connector(natslink.Options{
			URL: s.URL, Shown: config.URL(s.URL).String(), Name: "spillway bench child", Credentials: s.Credentials,
			Logger: slog.New(slog.DiscardHandler),
		})()
	})
}

func (b *benchCommand) write(w io.Writer, r *scenario.Report) error {
	switch {
	case b.JSON:
		return r.WriteJSON(w)
	case b.Markdown:
		return r.WriteMarkdown(w)
	}
	return r.WriteTable(w)
}

// listedScenario is a scenario as --list --json prints it.
type listedScenario struct {
	Name     string `json:"name"`
	Claim    string `json:"claim"`
	Doc      string `json:"doc"`
	Embedded string `json:"embedded_only,omitempty"`
}

func listScenarios(w io.Writer, all []scenario.Scenario, asJSON bool) error {
	if asJSON {
		l := newListing(w, true)
		for _, s := range all {
			if err := l.add(listedScenario{s.Name, s.Claim, s.Doc, s.Embedded}); err != nil {
				return err
			}
		}
		return l.close("")
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SCENARIO\tSHOWS")
	for _, s := range all {
		fmt.Fprintf(table, "%s\t%s\n", s.Name, s.Claim)
		for line := range strings.Lines(s.Doc) {
			fmt.Fprintf(table, "\t  %s\n", strings.TrimSuffix(line, "\n"))
		}
		if s.Embedded != "" {
			fmt.Fprintf(table, "\t  Not with --url: %s.\n", s.Embedded)
		}
	}
	return table.Flush()
}
