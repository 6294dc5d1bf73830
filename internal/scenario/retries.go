package scenario

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

var retriesScenario = Scenario{
	Name:  "retries",
	Claim: "what waits for its next attempt blocks nobody",
	Doc: `1,000 messages of one tenant fail and wait a minute for their next attempt, while 20 quiet tenants
publish. The plain consumer naks what fails with that delay, which keeps its place in a
MaxAckPending of 1,000.`,
	Run: retries,
}

const (
	retryTenant  = "failing"
	retryBackoff = time.Minute
)

var errRetry = errors.New("not this time")

func retries(ctx context.Context, r *Rig) ([]Row, error) {
	messages := r.Count(1000, 1000) // fewer would not fill MaxAckPending
	alone, err := quietAlone(ctx, r, floodService, floodGap, floodWorkers)
	if err != nil {
		return nil, err
	}
	bed, err := r.newBed(ctx)
	if err != nil {
		return nil, err
	}
	err = bed.fill(ctx, messages, func(int) (string, []byte) { return bed.subject(retryTenant, workKind), nil })
	if err != nil {
		return nil, err
	}
	plain, err := retriedPlain(ctx, bed, messages)
	if err != nil {
		return nil, err
	}
	return retriedOurs(ctx, bed, messages, alone, plain)
}

// retriedPlain returns the p99 of a crowd beside the retries of a plain consumer.
func retriedPlain(ctx context.Context, bed *bed, messages int) (Figure, error) {
	bed.rig.Say("the plain consumer")
	c := bed.newCrowd(floodQuiet, floodGap)
	var failed atomic.Int64
	run, err := bed.plain(ctx, "plain", Plain{Workers: floodWorkers, Handle: func(m jetstream.Msg) {
		if tenantOf(m.Subject()) == retryTenant {
			failed.Add(1)
			_ = m.NakWithDelay(retryBackoff) // it comes again without it, too
			return
		}
		c.started(m.Data(), time.Now())
		time.Sleep(floodService)
		_ = m.Ack()
	}})
	if err != nil {
		return Figure{}, err
	}
	err = until(ctx, "all have failed once", patience, func() bool { return failed.Load() >= int64(messages) })
	from := time.Now()
	if err == nil {
		err = c.publish(ctx, bed.rig.Span(floodPlain, 200*time.Millisecond))
	}
	waits, open := c.since(from, time.Now())
	run.stop()
	return quietFigure(waits, open, 0.99), errors.Join(err, bed.forget(ctx, "plain"), bed.purgeQuiet(ctx))
}

func retriedOurs(ctx context.Context, bed *bed, messages int, alone time.Duration, plain Figure) ([]Row, error) {
	bed.rig.Say("Spillway")
	c := bed.newCrowd(floodQuiet, floodGap)
	var failed atomic.Int64
	s, err := bed.ours(ctx, consumer.Config{
		Durable: "ours", Workers: floodWorkers, Retry: consumer.Retry{Initial: retryBackoff, Jitter: -1},
	}, consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
		if m.Tenant == retryTenant {
			failed.Add(1)
			return errRetry
		}
		c.started(m.Data, time.Now())
		time.Sleep(floodService)
		return nil
	}))
	if err != nil {
		return nil, err
	}
	err = until(ctx, "all have failed once", patience, func() bool { return failed.Load() >= int64(messages) })
	if err == nil {
		err = until(ctx, "all have moved to the retry lane", patience, func() bool {
			return settled(s.Snapshot(), consumer.OutcomeRetry) >= uint64(messages)
		})
	}
	from := time.Now()
	if err == nil {
		err = c.publish(ctx, bed.rig.Span(floodLook, 200*time.Millisecond))
	}
	if err == nil {
		err = until(ctx, "the quiet tenants are handled", patience, func() bool { return c.waiting() == 0 })
	}
	waits, _ := c.since(from, time.Now())
	places := 0
	if err == nil {
		places, err = unackedOf(ctx, bed, "ours")
	}
	if err := errors.Join(err, s.stop()); err != nil {
		return nil, err
	}
	claim := fmt.Sprintf("%d quiet tenants beside %s retries of another, p99 of the wait", floodQuiet, grouped(int64(messages)))
	return []Row{
		quietBound(claim, quantile(waits, 0.99), alone, floodService).beside(plain),
		exact("places in MaxAckPending that they hold", places, 0).beside(ofCount(messages)),
		exact("runs beyond the first of each meanwhile", failed.Load()-int64(messages), 0),
	}, nil
}

// unackedOf returns how many messages the server waits for, once it has read the acks that
// are on their way.
func unackedOf(ctx context.Context, bed *bed, durable string) (n int, err error) {
	_ = until(ctx, "", time.Second, func() bool { // n says whether it came to that
		var info *jetstream.ConsumerInfo
		if info, err = consumerInfo(ctx, bed.rig.js, bed.stream, durable); err != nil {
			return true
		}
		n = info.NumAckPending
		return n == 0
	})
	return n, err
}
