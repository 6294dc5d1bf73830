package main

import (
	"context"
	"errors"
	"fmt"
	"runtime/pprof"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/measure"
)

const payloadBytes = 128

// course is a backlog with what ours must reach on it.
type course struct {
	backlog
	runners []contestant
	bound   float64 // ours beside the hand-written pool; 0: ours does not run here
}

// everybody is who runs on every course.
var everybody = []contestant{consumeCallback, consumePool, fetchLoop, spillway}

// throughput drains the same backlogs with everybody.
func throughput(ctx context.Context, e *env) ([]row, error) {
	n := orDefault(e.messages, 200_000)
	courses := []course{
		{backlog{"ONE", n, 1, payloadBytes}, everybody, 1},
		{backlog{"HUNDRED", n, 100, payloadBytes}, slices.Concat(everybody, []contestant{guarded, watermillAsync}), 1},
		{backlog{"TENTHOUSAND", n, 10_000, payloadBytes}, everybody, 0.8},
		{backlog{"SHORT", max(n/10, 1), 100, payloadBytes}, []contestant{watermillSync}, 0},
	}
	return e.rounds(ctx, "throughput", courses)
}

// distant is throughput when the server is not next door: what a consumer has asked
// for and not received bounds what it can do in a round trip.
func distant(ctx context.Context, e *env) ([]row, error) {
	n := orDefault(e.messages, 50_000)
	runners := []contestant{consumePool, spillway}
	return e.rounds(ctx, "distance", []course{
		{backlog{"FARONE", n, 1, payloadBytes}, runners, 1},
		{backlog{"FARHUNDRED", n, 100, payloadBytes}, runners, 1},
	})
}

// roundsTime is after how long no further round begins, unless --repeat asks for it.
const roundsTime = 40 * time.Second

// rounds lets everybody run every course as often as was asked for.
func (e *env) rounds(ctx context.Context, scenario string, courses []course) (rows []row, err error) {
	for _, c := range courses {
		e.say("filling %s: %d messages of %d tenants", c.stream, c.messages, c.tenants)
		if err := c.fill(ctx, e.js); err != nil {
			return nil, err
		}
	}
	stop, err := e.profile()
	if err != nil {
		return nil, err
	}
	defer func() { err = firstError(err, stop()) }()
	sheet, start := make(results), time.Now()
	for round := range orDefault(e.repeat, 3) {
		if e.repeat == 0 && time.Since(start) > roundsTime {
			e.say("no further round: %v are over", roundsTime)
			break
		}
		for _, c := range courses {
			if err := e.raceAll(ctx, round, c, sheet); err != nil {
				return nil, err
			}
		}
	}
	return throughputRows(scenario, courses, sheet), nil
}

// results are what the races took, by stream and contestant, round by round.
type results map[[2]string][]result

func (rs results) of(b backlog, c contestant, what func(result) float64) []float64 {
	var all []float64
	for _, r := range rs[[2]string{b.stream, c.name}] {
		all = append(all, what(r))
	}
	return all
}

func rateOf(r result) float64 { return r.rate }
func cpuOf(r result) float64  { return r.cpu }

// raceAll is one round on c; each round another contestant begins.
func (e *env) raceAll(ctx context.Context, round int, c course, sheet results) error {
	for i := range c.runners {
		runner := c.runners[(i+round)%len(c.runners)]
		if !e.wanted(fmt.Sprintf("%d tenants: %s", c.tenants, runner.name)) {
			continue
		}
		r, err := e.raceOrAgain(ctx, fmt.Sprintf("d%d-%d", round, i), c.backlog, runner)
		if err != nil {
			return err
		}
		key := [2]string{c.stream, runner.name}
		sheet[key] = append(sheet[key], r)
		e.say("round %d  %5d tenants  %-38s %7.1fk/s  %6.0f ns of cpu  %5.1f allocs  %s",
			round+1, c.tenants, runner.name, r.rate/1000, r.cpu, r.allocs, r.note)
	}
	return nil
}

// maxStalls is how often a peer may stall in a round.
const maxStalls = 5

// raceOrAgain lets a peer that stalls run again: its speed is compared, not its
// mishaps. Ours may not stall.
func (e *env) raceOrAgain(ctx context.Context, durable string, b backlog, c contestant) (result, error) {
	for try := 0; ; try++ {
		r, err := e.race(ctx, fmt.Sprintf("%s-%d", durable, try), b, c)
		if !errors.Is(err, errStalled) || c.name == spillway.name || try == maxStalls {
			return r, err
		}
		e.say("%v; it runs again", err)
	}
}

// race runs one contestant on a connection and a durable of its own.
func (e *env) race(ctx context.Context, durable string, b backlog, c contestant) (result, error) {
	js, err := e.broker.connect()
	if err != nil {
		return result{}, err
	}
	defer js.Conn().Close()
	r := &race{backlog: b, js: js, durable: durable, done: make(chan struct{})}
	res, err := r.run(ctx, c)
	if err != nil {
		return result{}, err
	}
	err = js.DeleteConsumer(ctx, b.stream, durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		err = nil // Watermill removes its own
	}
	return res, err
}

// throughputRows is ours beside each peer; only one of them is a bound. A peer with a
// backlog of its own is beside ours on that of as many tenants.
func throughputRows(scenario string, courses []course, sheet results) []row {
	var rows []row
	ours := make(map[int][]float64) // by tenants
	for _, c := range courses {
		if c.bound > 0 {
			ours[c.tenants] = sheet.of(c.backlog, spillway, rateOf)
		}
		for _, peer := range c.runners {
			if peer.name == spillway.name {
				continue
			}
			r := compare(scenario, fmt.Sprintf("%d tenants: %s", c.tenants, peer.name), perSecond,
				ours[c.tenants], sheet.of(c.backlog, peer, rateOf))
			if peer.name == consumePool.name {
				r.Bound = fmt.Sprintf("ratio >= %.1f", c.bound)
				r.Note = noteOf(sheet[[2]string{c.stream, spillway.name}])
			}
			if r.Bound != "" && r.Ratio > 0 {
				r.Verdict = judge(r.Ratio >= c.bound)
			}
			rows = append(rows, r)
		}
		if c.bound > 0 {
			rows = append(rows, compare(scenario, fmt.Sprintf("%d tenants: processor time, beside 16 workers", c.tenants), nanos,
				sheet.of(c.backlog, spillway, cpuOf), sheet.of(c.backlog, consumePool, cpuOf)))
		}
	}
	return rows
}

func compare(scenario, claim string, u unit, ours, peers []float64) row {
	r := row{Scenario: scenario, Claim: claim, Ratio: measure.Median(measure.Ratios(ours, peers))}
	if len(peers) > 0 {
		r.Peer = figure{measure.Median(peers), u}
	}
	if len(ours) > 0 {
		r.Ours = figure{measure.Median(ours), u}
	}
	return r
}

// noteOf is the first thing of note in all rounds.
func noteOf(all []result) string {
	for _, r := range all {
		if r.note != "" {
			return r.note
		}
	}
	return ""
}

// profile starts the profiles that were asked for; stop writes them.
func (e *env) profile() (stop func() error, err error) {
	cpu, err := create(e.cpuProfile)
	if err != nil {
		return nil, err
	}
	if cpu != nil {
		if err := pprof.StartCPUProfile(cpu); err != nil {
			return nil, fmt.Errorf("bench: --cpuprofile: %w", err)
		}
	}
	return func() error {
		pprof.StopCPUProfile()
		return firstError(closeFile(cpu), writeAllocs(e.memProfile))
	}, nil
}
