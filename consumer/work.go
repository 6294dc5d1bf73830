package consumer

import (
	"context"
	"runtime"
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
			c.staff.replace()
		}
	}()
	for {
		j, err := c.queues.Next(ctx)
		if err != nil {
			ended = true
			return
		}
		for more := true; more; {
			if j, more = c.runJob(j); !more {
				j, more = c.linger()
			}
		}
	}
}

// linger lets others run once before the worker goes to sleep: what they bring
// meanwhile costs no wake-up. If there are no others it returns at once.
func (c *Consumer) linger() (job, bool) {
	runtime.Gosched()
	if c.queues.Len() == 0 {
		return job{}, false
	}
	return c.queues.TryNext(time.Now())
}

// runJob runs the handler for one message, does what its end means, and takes the next
// message if there is one. The clock is read once between two runs that follow on each
// other.
func (c *Consumer) runJob(j job) (next job, ok bool) {
	d := j.Value
	p, until, ok := c.acquire(j)
	if !ok {
		return c.notNow(j, until)
	}
	var deadline time.Time
	if d.route.Timeout > 0 {
		deadline = j.Started.Add(d.route.Timeout)
	}
	d.beginRun(&c.base, deadline)
	d.started.Store(j.Started.UnixNano()) // before the lease is looked at, so that its loss is not missed
	c.inFlight.Add(1)
	if end, may := c.mayRun(j); !may {
		c.inFlight.Add(-1)
		d.started.Store(0)
		d.route.state.unused(p, j.Started)
		if c.carryOut(j, end, j.Started) {
			return c.queues.DoneNext(j.Started, j)
		}
		return job{}, false
	}
	now, done := c.finish(j, p, c.call(j, p))
	if !done {
		return job{}, false
	}
	return c.queues.DoneNext(now, j)
}

// mayRun reports whether the message of j, which counts as running, may run; if not, end is
// what becomes of it.
func (c *Consumer) mayRun(j job) (end ending, may bool) {
	d := j.Value
	if c.leases.mayBeLost(j.Started.Sub(j.Arrived)) && c.leases.isLost(d, j.Started) {
		return ending{action: actionHandBack, delay: handBackDelay}, false // sends nothing, unless it was delivered to us again
	}
	if to := c.leases.moved(d); to != nil {
		return ending{action: actionMoved, outcome: to.lane.kind.movedBy()}, false
	}
	if c.leases.runsAlready(d) {
		return ending{action: actionRequeue, delay: aloneAgain}, false
	}
	return ending{}, true
}

// notNow puts a message back whose downstream has closed since it was scheduled, or whose
// tenant has no token of its shared rate before until: it has not run, so nobody pays for it.
func (c *Consumer) notNow(j job, until time.Time) (next job, ok bool) {
	if !c.queues.ReturnUntil(j.Started, j, until) {
		c.giveBack(j.Value) // the queues are closed: it is ours again
	}
	return c.queues.TryNext(time.Now())
}

// call runs the handler behind a fence: a panic is an error like others, with the
// stack of where it happened. So is a handler that ends the goroutine, for which
// nobody is left to take the error.
func (c *Consumer) call(j job, p permits) (err error) {
	returned := false
	defer func() {
		if returned {
			return
		}
		if v := recover(); v != nil {
			p := &PanicError{Value: v, Stack: debug.Stack()}
			c.logs.panics.warn("a handler panicked", "tenant", j.Tenant, "subject", j.Value.msg.Subject, "panic", v, "stack", string(p.Stack))
			err = p
			return
		}
		if now, done := c.finish(j, p, &PanicError{Value: "handler called runtime.Goexit", Stack: debug.Stack()}); done {
			c.queues.DoneAt(now, j)
		}
	}()
	d := j.Value
	err = d.route.Handler.Handle(d.run(), &d.msg)
	returned = true
	return err
}

// finish does what the end of a run means for its message, and returns when it was.
// The scheduler is still to be told that the run is done, unless the message went back
// into its queue.
func (c *Consumer) finish(j job, p permits, err error) (now time.Time, done bool) {
	d := j.Value
	now = time.Now()
	c.inFlight.Add(-1)
	end := c.conclude(d, err, now)
	d.route.state.release(p, now, end.limit, end.health) // before the scheduler starts another
	d.started.Store(0)
	d.run().free()
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
	done = c.carryOut(j, end, now)
	c.lull(now)
	return now, done
}

// carryOut does what end means for the message of j, and reports whether the scheduler is
// still to be told that the run is done.
func (c *Consumer) carryOut(j job, end ending, now time.Time) (tell bool) {
	tell = true
	if end.action == actionRequeue {
		if c.queues.RequeueAt(now, j, now.Add(end.delay)) {
			return false
		}
		tell = false // the queues are closed: it is ours again
	}
	c.act(j.Value, end, now)
	return tell
}

// idleWorkers is how many more handlers could run now.
func (c *Consumer) idleWorkers() int { return c.live.Load().Workers - int(c.inFlight.Load()) }

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
		c.alarms.after(suspectPatience, c.suspectLane().wake)
	}
	return now.UnixNano()-c.busySince.Load() >= int64(suspectPatience)
}

// lull lets the suspect lane look again once a worker is idle.
func (c *Consumer) lull(now time.Time) {
	if since := c.busySince.Load(); since != 0 && now.UnixNano() > since {
		c.suspectLane().wake()
	}
}
