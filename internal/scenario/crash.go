package scenario

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

var crashScenario = Scenario{
	Name:  "crash-loop",
	Claim: "a message that ends its process is convicted, and its neighbours are handled",
	Doc: `300 messages of 10 tenants and one poison message among them, whose handler kills its process. Real
processes, one after another, as a supervisor would start them; 8 workers, handlers of 5 ms,
AckWait 1 s. The plain consumer has the same, at the same time, for as long as Spillway takes.`,
	Run: crashLoop,
}

const (
	crashWorkers = 8
	crashService = 5 * time.Millisecond
	crashWait    = time.Second // AckWait
	crashTenants = 10
	crashMost    = 6  // three deliveries among others, and three alone
	crashEnough  = 10 // processes that end so; more is a loop
)

// A supervisor starts one process after another, until all is done.
type supervisor struct {
	rig     *Rig
	task    Task
	ledger  *ledger
	poison  uint64 // its sequence
	crashes int
}

func crashLoop(ctx context.Context, r *Rig) ([]Row, error) {
	neighbours := r.Count(300, 40)
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	place := neighbours / 4 // of the poison
	err = bed.fill(ctx, neighbours+1, func(i int) (string, []byte) {
		if i == place {
			return bed.subject("poisoner", poisonKind), nil
		}
		return bed.subject(fmt.Sprintf("t%d", i%crashTenants), workKind), nil
	})
	if err != nil {
		return nil, err
	}
	ours := &supervisor{rig: r, poison: uint64(place) + 1, ledger: newLedger(neighbours + 1), task: Task{
		Stream: bed.stream, Durable: "ours", Ours: true, Workers: crashWorkers, AckWait: crashWait, Service: crashService, Announce: true,
	}}
	plain := &supervisor{rig: r, poison: ours.poison, ledger: newLedger(neighbours + 1), task: ours.task}
	plain.task.Ours, plain.task.Durable = false, "plain"
	meanwhile, enough := context.WithCancel(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { _ = plain.run(meanwhile, math.MaxInt, func() (bool, error) { return false, nil }) }) // enough ends it
	dead := 0
	err = ours.run(ctx, crashEnough, func() (bool, error) {
		var err error
		dead, err = bed.deadLetters(ctx)
		return dead > 0 && ours.ledger.handled.Load() == int64(neighbours), err
	})
	enough()
	beside.Wait()
	if err != nil {
		return nil, err
	}
	crashes := ofCount(plain.crashes)
	crashes.AtLeast = true
	return []Row{
		atMost("processes that a poison message ends, until it is convicted", ofCount(ours.crashes), ofCount(crashMost)).must().beside(crashes),
		exact("its neighbours that are not handled", int64(neighbours)-ours.ledger.handled.Load(), 0).
			beside(ofCount(int64(neighbours) - plain.ledger.handled.Load())),
		exact("dead letters, of which it is one", dead, 1),
	}, nil
}

// deadLetters returns how many there are.
func (b *bed) deadLetters(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	s, err := b.rig.js.Stream(ctx, b.stream+"_DEAD")
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return 0, nil // no process has come so far
	}
	if err != nil {
		return 0, fmt.Errorf("dead letters: %w", err)
	}
	return int(s.CachedInfo().State.Msgs), nil
}

// run starts processes until done says that all is done, or so many have crashed.
func (s *supervisor) run(ctx context.Context, most int, done func() (bool, error)) error {
	for s.crashes < most {
		s.rig.Say("%s: process %d", s.task.Durable, s.crashes+1)
		over, err := s.runOne(ctx, done)
		if err != nil || over {
			return err
		}
		s.crashes++
	}
	return nil
}

// runOne runs one process until it crashes, or all is done.
func (s *supervisor) runOne(ctx context.Context, done func() (bool, error)) (over bool, err error) {
	var poisoned atomic.Bool
	p, err := s.rig.start(ctx, s.task, func(e event) {
		if e.Began == s.poison {
			poisoned.Store(true)
		}
		if e.Handled > 0 {
			s.ledger.note(e.Handled)
		}
	})
	if err != nil {
		return false, err
	}
	for tick := time.NewTicker(20 * time.Millisecond); ; {
		select {
		case <-p.ended:
			tick.Stop()
			if !poisoned.Load() && ctx.Err() == nil {
				return false, fmt.Errorf("a process ended though it had no poison: %w", p.err)
			}
			return false, ctx.Err()
		case <-tick.C:
		}
		if over, err = done(); over || err != nil {
			tick.Stop()
			return over, errors.Join(err, p.stop())
		}
	}
}
