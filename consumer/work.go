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
	for {
		j, err := c.queues.Next(ctx)
		if err != nil {
			ended = true
			return
		}
		c.runJob(ctx, j)
	}
}

// runJob runs the handler for one message, and does what its end means.
func (c *Consumer) runJob(ctx context.Context, j job) {
	d := j.Value
	if lost, _ := c.leases.state(d); lost {
		c.queues.Done(j)
		c.abandon(d, OutcomeLeaseLost)
		return
	}
	var deadline time.Time
	if d.route.Timeout > 0 {
		deadline = j.Started.Add(d.route.Timeout)
	}
	d.run.begin(ctx, deadline)
	d.started.Store(j.Started.UnixNano())
	c.inFlight.Add(1)
	finished := false
	defer func() {
		if finished {
			return
		}
		c.finish(j, &PanicError{Value: "handler called runtime.Goexit", Stack: debug.Stack()})
	}()
	err := c.call(d)
	finished = true
	c.finish(j, err)
}

// call runs the handler behind a fence: a panic is an error like others, with the
// stack of where it happened.
func (c *Consumer) call(d *delivery) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: debug.Stack()}
		}
	}()
	return d.route.Handler.Handle(&d.run, &d.msg)
}

// finish ends a run: the worker is free, the scheduler charged, the message settled.
func (c *Consumer) finish(j job, err error) {
	d := j.Value
	now := time.Now()
	c.inFlight.Add(-1)
	d.started.Store(0)
	end := c.conclude(d, err, now)
	d.run.end(nil)
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
			return
		}
		end.delay = handBackDelay // the queues may have been closed before: nobody would take it
	} else {
		c.queues.DoneAt(now, j)
	}
	c.act(d, end, now)
	c.lull(now)
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
