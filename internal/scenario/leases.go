package scenario

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

var leasesScenario = Scenario{
	Name:  "leases",
	Claim: "a handler may run longer than AckWait",
	Doc: `64 messages, 8 workers, AckWait 1 s, handlers of 1.5 s: a message waits in the process up to 12 s.
JetStream must give none of them to anybody else meanwhile.`,
	Run: leases,
}

const (
	leaseWait    = time.Second // the least that Spillway takes
	leaseService = 1500 * time.Millisecond
	leaseWorkers = 8
)

func leases(ctx context.Context, r *Rig) ([]Row, error) {
	messages := r.Count(64, 2*leaseWorkers)
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	if err := bed.fillTenants(ctx, messages, 4, racePayload); err != nil {
		return nil, err
	}
	// Both consumers do nothing but wait, so they may do it at the same time.
	ours, plain := newLedger(messages), newLedger(messages)
	s, err := bed.ours(ctx, consumer.Config{Durable: "ours", Workers: leaseWorkers, AckWait: leaseWait},
		handlerFor(func(_ string, seq uint64, _ []byte) {
			ours.note(seq)
			time.Sleep(leaseService)
		}))
	if err != nil {
		return nil, err
	}
	run, err := bed.plain(ctx, "plain", byHand{Workers: leaseWorkers, AckWait: leaseWait, Handle: func(m jetstream.Msg) {
		if meta, err := m.Metadata(); err == nil {
			plain.note(meta.Sequence.Stream)
		}
		time.Sleep(leaseService)
		_ = m.Ack() // what is not acked comes again
	}})
	if err != nil {
		return nil, errors.Join(err, s.stop())
	}
	r.Say("handling %d messages of %v with an AckWait of %v", messages, leaseService, leaseWait)
	err = until(ctx, "all are handled", time.Minute, func() bool { return ours.handled.Load() == int64(messages) })
	if err == nil { // the last of them must run to their ends, and be acked
		err = pause(ctx, leaseService+leaseWait)
	}
	run.stop()
	lost := s.Snapshot().LeasesLost
	redelivered := s.Snapshot().Lanes[0].Redelivered
	if err := errors.Join(err, s.stop()); err != nil {
		return nil, err
	}
	return []Row{
		exact(fmt.Sprintf("handlers of %v, AckWait %v: messages handled twice", leaseService, leaseWait), ours.again.Load(), 0).
			beside(ofCount(plain.again.Load())),
		exact("delivered twice, or their lease lost", redelivered+lost, 0),
	}, nil
}
