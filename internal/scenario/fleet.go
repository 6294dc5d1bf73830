package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

var twoProcessesScenario = Scenario{
	Name:  "two-processes",
	Claim: "processes share a durable, and one that is killed loses nothing",
	Doc: `Two processes with 8 workers each and a buffer of 256 messages share the work of 20 tenants, 5 ms a
message, AckWait 2 s. When half is done, one is killed, as by a power cut.`,
	Run: twoProcesses,
}

const (
	fleetTenants = 20
	fleetWorkers = 8
	fleetService = 5 * time.Millisecond
	fleetBuffer  = 256
	fleetWait    = 2 * time.Second // AckWait
	fleetSlack   = time.Second
	fleetShare   = 0.4 // of the one that does less
)

// A fleet is two processes, one of which is killed.
type fleet struct {
	ledger *ledger
	share  [2]atomic.Int64 // handled by each before the kill
	took   time.Duration   // from the kill to the end
	left   int             // at the kill
}

func twoProcesses(ctx context.Context, r *Rig) ([]Row, error) {
	messages := r.Count(6000, 400)
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	if err := bed.fillTenants(ctx, messages, fleetTenants, racePayload); err != nil {
		return nil, err
	}
	task := Task{Stream: bed.stream, Durable: "plain", Workers: fleetWorkers, AckWait: r.Span(fleetWait, time.Second), Service: fleetService, Announce: true}
	plain, err := runFleet(ctx, r, task, messages)
	if err != nil {
		return nil, fmt.Errorf("plain consumer: %w", err)
	}
	task.Durable, task.Ours, task.Buffer = "ours", true, fleetBuffer
	ours, err := runFleet(ctx, r, task, messages)
	if err != nil {
		return nil, fmt.Errorf("spillway: %w", err)
	}
	work := time.Duration(ours.left) * fleetService / fleetWorkers
	took := atMost("the other has the rest handled after", ofDuration(ours.took), ofDuration(work+task.AckWait+fleetSlack)).beside(ofDuration(plain.took))
	took.Bound = fmt.Sprintf("≤ its work (%s) + AckWait (%v) + %v", brief(work), task.AckWait, fleetSlack)
	return []Row{
		exact("one of two processes is killed: messages lost", messages-int(ours.ledger.handled.Load()), 0).
			beside(ofCount(messages - int(plain.ledger.handled.Load()))),
		atMost("handled twice, of the buffer of the one", ofCount(ours.ledger.again.Load()), ofCount(fleetBuffer)).must().
			beside(ofCount(plain.ledger.again.Load())),
		took,
		atLeast("before, the one that did less did of all", ofShare(ours.less()), ofShare(fleetShare)).beside(ofShare(plain.less())),
	}, nil
}

func (f *fleet) less() float64 {
	a, b := f.share[0].Load(), f.share[1].Load()
	return float64(min(a, b)) / float64(max(a+b, 1))
}

func runFleet(ctx context.Context, r *Rig, task Task, messages int) (*fleet, error) {
	r.Say("%s: two processes", task.Durable)
	f := &fleet{ledger: newLedger(messages)}
	var killed atomic.Bool
	first, err := f.start(ctx, r, task, 0, &killed)
	if err != nil {
		return nil, err
	}
	defer first.kill()
	second, err := f.start(ctx, r, task, 1, &killed)
	if err != nil {
		return nil, err
	}
	defer second.kill()
	if err := errors.Join(first.awaitReady(ctx), second.awaitReady(ctx)); err != nil {
		return nil, err
	}
	if err := f.await(ctx, messages/2); err != nil {
		return nil, err
	}
	killed.Store(true)
	first.kill()
	began := time.Now()
	f.left = messages - int(f.ledger.handled.Load())
	r.Say("%s: one was killed", task.Durable)
	err = f.await(ctx, messages)
	f.took = time.Since(began)
	return f, errors.Join(err, second.stop())
}

// start starts process i, and counts what it handles.
func (f *fleet) start(ctx context.Context, r *Rig, task Task, i int, killed *atomic.Bool) (*process, error) {
	return r.start(ctx, task, func(e event) {
		if e.Handled == 0 {
			return
		}
		f.ledger.note(e.Handled)
		if !killed.Load() {
			f.share[i].Add(1)
		}
	})
}

func (f *fleet) await(ctx context.Context, handled int) error {
	return until(ctx, fmt.Sprintf("%d messages are handled", handled), time.Minute, func() bool { return f.ledger.handled.Load() >= int64(handled) })
}
