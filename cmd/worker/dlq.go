package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/cmd/worker/internal/dlq"
	"github.com/spillwaymq/spillway/cmd/worker/internal/natslink"
	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/consumer"
)

// dlqCommand is about the dead letters of the durable of a config file.
type dlqCommand struct {
	List    dlqListCommand    `cmd:"" name:"ls" help:"List dead letters, the oldest first."`
	Show    dlqShowCommand    `cmd:"" help:"Show all of one dead letter."`
	Replay  dlqReplayCommand  `cmd:"" help:"Hand dead letters to the durable again, and remove each when its copy is confirmed."`
	Discard dlqDiscardCommand `cmd:"" help:"Remove dead letters for good."`
}

// dlqFilter are the flags that say which dead letters are meant.
type dlqFilter struct {
	Tenant string `placeholder:"NAME" help:"Only those of this tenant."`
	Reason string `placeholder:"REASON" help:"Only those that died of this: ${reasons}."`
	Since  since  `placeholder:"TIME" help:"Only those that died since then: 24h for a day ago, 2006-01-02, or 2006-01-02T15:04:05Z."`
	Limit  int    `placeholder:"N" help:"At most so many (default: all)."`
}

// since is a time, written as one or as how long ago it was.
type since struct{ time.Time }

// UnmarshalText reads a time.
func (s *since) UnmarshalText(text []byte) error {
	if ago, err := time.ParseDuration(string(text)); err == nil && ago >= 0 {
		s.Time = time.Now().Add(-ago)
		return nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, string(text)); err == nil {
			s.Time = t
			return nil
		}
	}
	return fmt.Errorf("%q must be like 24h, 2006-01-02 or 2006-01-02T15:04:05Z", text)
}

// sequence is the number of a dead letter in its stream.
type sequence uint64

// UnmarshalText reads a sequence.
func (s *sequence) UnmarshalText(text []byte) error {
	n, err := strconv.ParseUint(string(text), 10, 64)
	if err != nil || n == 0 {
		return fmt.Errorf("it is %.64q, must be a number from 1, the SEQ that \"worker dlq ls\" shows", text)
	}
	*s = sequence(n)
	return nil
}

// numbers returns the sequences as package dlq takes them.
func numbers(of []sequence) []uint64 {
	to := make([]uint64, len(of))
	for i, s := range of {
		to[i] = uint64(s)
	}
	return to
}

func (f dlqFilter) filter() dlq.Filter {
	return dlq.Filter{Tenant: f.Tenant, Reason: f.Reason, Since: f.Since.Time, Limit: f.Limit}
}

// Validate is called by kong.
func (f dlqFilter) Validate() error {
	if f.Limit < 0 {
		return fmt.Errorf("--limit is %d, must not be negative", f.Limit)
	}
	return nil
}

// selects reports whether f leaves out dead letters for what they are.
func (f dlqFilter) selects() bool { return f.Tenant != "" || f.Reason != "" || !f.Since.IsZero() }

// none is what a list says that was read to its end and is empty. A reason that this
// program does not know is no mistake, as a later one may have written it.
func (f dlqFilter) none(letters *dlq.Letters) string {
	text := "no dead letters of " + letters.String()
	if f.selects() {
		text += " match"
	}
	if f.Reason != "" && !slices.Contains(consumer.Reasons(), consumer.Reason(f.Reason)) {
		text += "; the reasons are " + reasonList()
	}
	return text
}

// reasonList is what a dead letter may have died of.
func reasonList() string {
	var reasons []string
	for _, r := range consumer.Reasons() {
		reasons = append(reasons, string(r))
	}
	return strings.Join(reasons, ", ")
}

// withLetters calls do with the dead letters of the config.
func (s *settings) withLetters(p *process, do func(ctx context.Context, letters *dlq.Letters) error) error {
	return s.withNATS(p, func(ctx context.Context, cfg *config.Config, link *natslink.Link) error {
		letters, err := dlq.New(link.JetStream, dlq.Config{
			Stream: cfg.Stream, Durable: cfg.Durable,
			DeadLetter: cfg.DeadLetter.Stream, Overflow: cfg.Overflow.Stream,
		})
		if err != nil {
			return err
		}
		return do(ctx, letters)
	})
}

type dlqListCommand struct {
	settings
	dlqFilter

	JSON bool `help:"As a JSON array."`
}

// Run lists.
func (d *dlqListCommand) Run(p *process) error {
	return d.withLetters(p, func(ctx context.Context, letters *dlq.Letters) error {
		out := newListing(p.stdout, d.JSON, "SEQ", "DIED", "TENANT", "REASON", "ATTEMPTS", "BYTES", "SUBJECT", "ERROR")
		for e, err := range letters.List(ctx, d.filter()) {
			if err != nil {
				return errors.Join(err, out.abandon())
			}
			err := out.add(e, e.Sequence, e.Died.UTC().Format(time.RFC3339), e.Tenant, e.Reason, e.Attempts, e.Size, e.Subject, e.Error)
			if err != nil {
				return err
			}
		}
		return out.close(d.none(letters))
	})
}

type dlqShowCommand struct {
	settings

	Sequence sequence `arg:"" name:"seq" help:"Its sequence, as ls tells."`
	JSON     bool     `help:"As JSON, the payload in base64."`
	Payload  bool     `help:"The payload alone, as it is."`
}

// Run shows.
func (d *dlqShowCommand) Run(p *process) error {
	return d.withLetters(p, func(ctx context.Context, letters *dlq.Letters) error {
		letter, err := letters.Show(ctx, uint64(d.Sequence))
		switch {
		case err != nil:
			return err
		case d.Payload && letter.Gone != "":
			return errors.New(letter.Gone)
		case d.Payload:
			_, err = p.stdout.Write(letter.Data)
			return err
		case d.JSON:
			encoder := json.NewEncoder(p.stdout)
			encoder.SetIndent("", "  ")
			return encoder.Encode(letter)
		}
		return printLetter(p.stdout, letter)
	})
}

type dlqReplayCommand struct {
	dlqChange

	ToSubject string `placeholder:"SUBJECT" help:"Publish them there instead, for all who consume that subject."`
}

// Validate is called by kong.
func (d *dlqReplayCommand) Validate() error {
	if d.ToSubject != "" && !scan.IsLiteral(d.ToSubject) {
		return fmt.Errorf("--to-subject is %q, must be one subject without wildcards, spaces or empty tokens", d.ToSubject)
	}
	return d.dlqChange.Validate()
}

// Run replays.
func (d *dlqReplayCommand) Run(p *process) error {
	return d.change(p, "replayed", func(ctx context.Context, letters *dlq.Letters, entries iter.Seq2[dlq.Entry, error]) iter.Seq2[dlq.Result, error] {
		return letters.Replay(ctx, entries, dlq.Replay{ToSubject: d.ToSubject, DryRun: d.DryRun})
	})
}

type dlqDiscardCommand struct{ dlqChange }

// Run discards.
func (d *dlqDiscardCommand) Run(p *process) error {
	return d.change(p, "discarded", func(ctx context.Context, letters *dlq.Letters, entries iter.Seq2[dlq.Entry, error]) iter.Seq2[dlq.Result, error] {
		return letters.Discard(ctx, entries, d.DryRun)
	})
}
