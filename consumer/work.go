package consumer

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/spillwaymq/spillway/tenants"
)

type job = tenants.Job[*delivery]

// work is one worker: it runs what is next until there is nothing any more. If a
// handler ends the goroutine, with runtime.Goexit, another worker takes its place.
func (c *Consumer) work(ctx context.Context) {
	ended := false
	defer func() {
		if !ended {
			c.spawnWorker(ctx)
		}
	}()
	var now time.Time // the end of the last run
	for {
		j, err := c.next(ctx, now)
		if err != nil {
			ended = true
			return
		}
		now = c.runJob(ctx, j)
	}
}

// next returns what is to run. The clock is read once between two runs that follow on
// each other.
func (c *Consumer) next(ctx context.Context, now time.Time) (job, error) {
	if !now.IsZero() {
		if j, ok := c.queues.TryNext(now); ok {
			return j, nil
		}
	}
	return c.queues.Next(ctx)
}

// runJob runs the handler for one message, does what its end means, and returns when
// that was.
func (c *Consumer) runJob(ctx context.Context, j job) time.Time {
	d := j.Value
	var deadline time.Time
	if d.route.Timeout > 0 {
		deadline = j.Started.Add(d.route.Timeout)
	}
	d.run.begin(ctx, deadline) // before the lease is looked at, so that its loss is not missed
	if lost, _ := c.leases.state(d, j.Started); lost {
		c.queues.Done(j)
		c.abandon(d, OutcomeLeaseLost)
		return j.Started
	}
	d.started.Store(j.Started.UnixNano())
	c.inFlight.Add(1)
	return c.finish(j, c.call(j))
}

// call runs the handler behind a fence: a panic is an error like others, with the
// stack of where it happened. So is a handler that ends the goroutine, for which
// nobody is left to take the error.
func (c *Consumer) call(j job) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
			return
		}
		c.finish(j, &PanicError{Value: "handler called runtime.Goexit", Stack: debug.Stack()})
	}()
	d := j.Value
	err = d.route.Handler.Handle(&d.run, &d.msg)
	returned = true
	return err
}

// finish ends a run: the worker is free, the scheduler charged, the message settled.
// It returns when.
func (c *Consumer) finish(j job, err error) time.Time {
	d := j.Value
	now := time.Now()
	c.inFlight.Add(-1)
	d.started.Store(0)
	end := c.conclude(d, err, now)
	d.run.free()
	c.observers.handled(Handled{
		Tenant:     d.msg.Tenant,
		Downstream: d.route.Downstream,
		Lane:       d.lane.kind,
		Result:     end.result,
		Err:        err,
		Wait:       j.Started.Sub(j.Arrived),
		Took:       now.Sub(j.Started),
		EndToEnd:   now.Sub(d.msg.Published),
	})
	if end.action == actionRequeue {
		c.queues.RequeueAt(now, j, now.Add(end.delay))
		if !c.closing.Load() {
			return now
		}
		end.delay = handBackDelay // the queues may have been closed before: nobody would take it
	} else {
		c.queues.DoneAt(now, j)
	}
	c.act(d, end, now)
	c.lull(now)
	return now
}

// idleWorkers is how many more handlers could run now.
func (c *Consumer) idleWorkers() int { return c.cfg.Workers - int(c.inFlight.Load()) }

// suspectPatience is how long suspects wait for an idle worker before they are
// pulled to be next on a busy one.
const suspectPatience = time.Second

// workerFor reports whether a suspect may be pulled: a worker is idle, or none was
// for a while.
func (c *Consumer) workerFor(now time.Time) bool {
	if c.idleWorkers() > 0 {
		c.busySince.Store(0)
		return true
	}
	if c.busySince.CompareAndSwap(0, now.UnixNano()) {
		time.AfterFunc(suspectPatience, c.suspectLane().wake)
	}
	return now.UnixNano()-c.busySince.Load() >= int64(suspectPatience)
}

// lull lets the suspect lane look again once a worker is idle.
func (c *Consumer) lull(now time.Time) {
	if since := c.busySince.Load(); since != 0 && now.UnixNano() > since {
		c.suspectLane().wake()
	}
}
