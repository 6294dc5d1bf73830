package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	ackPending = 65536 // what every contestant's durable may have unacknowledged; it is Spillway's own setting
	ackWait    = 30 * time.Second
	raceTime   = time.Minute // after which a contestant is said to stall
)

// race is one contestant's way through a backlog, from its first pull to the moment
// when the server knows that every message is done.
type race struct {
	backlog
	js      jetstream.JetStream // a connection of this race alone
	durable string

	handled atomic.Int64
	began   atomic.Int64  // unix nanoseconds; 0: not yet
	done    chan struct{} // closed when every message was handled
}

// contestant is a way to consume. start returns as soon as messages flow; stop ends
// it and says what was noteworthy.
type contestant struct {
	name  string
	start func(ctx context.Context, r *race) (stop func() (note string, err error), err error)
}

// result is what a race took.
type result struct {
	rate   float64 // messages a second
	cpu    float64 // nanoseconds of all processors a message, the server's share included
	allocs float64 // a message, the server's share included
	note   string
}

// begin starts the clock; the first call counts.
func (r *race) begin() {
	if r.began.Load() == 0 {
		r.began.CompareAndSwap(0, time.Now().UnixNano())
	}
}

// handle is the work: none.
func (r *race) handle() {
	if r.handled.Add(1) == int64(r.messages) {
		close(r.done)
	}
}

// run lets c consume the backlog.
func (r *race) run(ctx context.Context, c contestant) (result, error) {
	ctx, cancel := context.WithTimeout(ctx, raceTime)
	defer cancel()
	runtime.GC() // nobody pays for who came before
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	cpu := cpuTime()
	stop, err := c.start(ctx, r)
	if err != nil {
		return result{}, fmt.Errorf("bench: %s: %w", c.name, err)
	}
	took, finishErr := r.finish(ctx)
	cpu = cpuTime() - cpu
	runtime.ReadMemStats(&after)
	note, err := stop()
	switch {
	case finishErr != nil:
		return result{}, fmt.Errorf("bench: %s: %w; %s", c.name, finishErr, dash(note))
	case err != nil:
		return result{}, fmt.Errorf("bench: %s: stop: %w", c.name, err)
	}
	return result{
		rate:   float64(r.messages) / took.Seconds(),
		cpu:    float64(cpu) / float64(r.messages),
		allocs: float64(after.Mallocs-before.Mallocs) / float64(r.messages),
		note:   note,
	}, nil
}

// finish waits until everything was handled and the server has every ack, and returns
// how long that was since the beginning.
func (r *race) finish(ctx context.Context) (time.Duration, error) {
	if err := r.awaitHandled(ctx); err != nil {
		return 0, err
	}
	for {
		info, err := r.info(ctx)
		if err != nil {
			return 0, err
		}
		if info.NumPending == 0 && info.NumAckPending == 0 {
			return time.Since(time.Unix(0, r.began.Load())), nil
		}
		time.Sleep(time.Millisecond)
	}
}

// errStalled says that a contestant stopped asking for messages that there are.
var errStalled = errors.New("stalls")

// stallTick is how long nothing must happen to be a stall.
const stallTick = 2 * time.Second

// awaitHandled waits until every message was handled.
func (r *race) awaitHandled(ctx context.Context) error {
	tick := time.NewTicker(stallTick)
	defer tick.Stop()
	for last := int64(-1); ; {
		select {
		case <-r.done:
			return nil
		case <-tick.C:
			now := r.handled.Load()
			if now == last {
				return r.stalled(ctx, now)
			}
			last = now
		case <-ctx.Done():
			return fmt.Errorf("%w: %d of %d handled within %v", errStalled, r.handled.Load(), r.messages, raceTime)
		}
	}
}

// stalled says how things are on the side of the server.
func (r *race) stalled(ctx context.Context, handled int64) error {
	info, err := r.info(ctx)
	if err != nil {
		return err
	}
	return fmt.Errorf("%w at %d of %d: nothing for %v; %d pending, %d unacknowledged, %d pull requests waiting",
		errStalled, handled, r.messages, stallTick, info.NumPending, info.NumAckPending, info.NumWaiting)
}

// info asks for the state of the durable, be it one to pull from or one that pushes,
// which the client has two types for.
func (r *race) info(ctx context.Context) (*jetstream.ConsumerInfo, error) {
	reply, err := r.js.Conn().RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"CONSUMER.INFO."+r.stream+"."+r.durable, nil)
	if err != nil {
		return nil, fmt.Errorf("consumer info: %w", err)
	}
	var answer struct {
		jetstream.ConsumerInfo
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(reply.Data, &answer); err != nil {
		return nil, fmt.Errorf("consumer info: %w", err)
	}
	if answer.Error != nil {
		return nil, fmt.Errorf("consumer info: %w", answer.Error)
	}
	return &answer.ConsumerInfo, nil
}

// redelivered tells what the server had to deliver more than once, or "".
func (r *race) redelivered(ctx context.Context) string {
	info, err := r.info(ctx)
	if err != nil {
		return err.Error()
	}
	if n := int64(info.Delivered.Consumer) - int64(r.messages); n > 0 {
		return fmt.Sprintf("%d deliveries too many", n)
	}
	if n := r.handled.Load() - int64(r.messages); n > 0 {
		return fmt.Sprintf("%d handled twice", n)
	}
	return ""
}
