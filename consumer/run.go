package consumer

import (
	"context"
	"errors"
	"sync"
	"time"
)

// spawnFunc starts a goroutine that Run waits for.
type spawnFunc func(ctx context.Context)

// crew are the goroutines of one Run. This file alone starts them; each kind is
// stopped by its own context, in the order of the drain, and waited for.
type crew struct {
	lanes, workers, helpers, post sync.WaitGroup
	fatal                         chan error // why Run cannot go on; one place
}

// Run works until ctx is done, then drains, and returns when every goroutine it
// started has ended. It returns nil after a clean drain, also when what could not run
// then was handed back, and when ctx ended before it consumed; an error that is
// ErrDrainTimeout if handlers were still at work after DrainTimeout; and otherwise what
// made it impossible to go on. A
// handler that ignores the end of its context is the exception: it cannot be ended,
// and Run returns without it after a grace of five seconds. Run can be called once.
func (c *Consumer) Run(ctx context.Context) error {
	if err := c.begin(); err != nil {
		return err
	}
	defer c.setState(StateStopped)
	defer c.alarms.stop()
	if err := c.prepare(ctx); err != nil {
		c.close()
		if ctx.Err() != nil {
			return nil // stopped before it began
		}
		return err
	}
	// The goroutines outlive ctx: the drain ends them one kind after the other.
	base := context.WithoutCancel(ctx)
	laneCtx, stopLanes := context.WithCancel(base)
	helpCtx, stopHelp := context.WithCancel(base)
	defer stopLanes()
	defer stopHelp()

	cr := &crew{fatal: make(chan error, 1)}
	cr.post.Go(c.post)
	c.startHelpers(helpCtx, cr)
	c.downstreams.review() // before anything starts
	c.startWorkers(base, cr)
	for _, l := range c.lanes {
		cr.lanes.Go(func() { l.run(laneCtx) })
	}
	c.spillway.open(func(l *lane, ended func()) func() {
		ctx, stop := context.WithCancel(laneCtx)
		cr.lanes.Go(func() {
			defer ended()
			c.runOverflow(ctx, l)
		})
		return stop
	})
	c.setState(StateRunning)
	c.log.Info("consuming", "stream", c.cfg.Stream, "durable", c.cfg.Durable, "workers", c.cfg.Workers)

	var fatal error
	select {
	case <-ctx.Done():
	case fatal = <-cr.fatal:
		c.log.Error("cannot go on", "error", fatal)
	}
	return errors.Join(fatal, c.drain(base, cr, stopLanes, stopHelp))
}

func (c *Consumer) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.state != StateNew {
		return errors.New("consumer: Run can be called once")
	}
	c.state = StateStarting
	return nil
}

// prepare makes sure of the streams and consumers, and subscribes.
func (c *Consumer) prepare(ctx context.Context) error {
	setup, cancel := context.WithTimeout(ctx, 6*apiTimeout)
	defer cancel()
	t := topology{c}
	t.limits(setup)
	if err := t.streams(setup); err != nil {
		return err
	}
	for _, l := range c.lanes {
		info, err := t.consumer(setup, l)
		if err != nil {
			return err
		}
		c.keeper.seen(l, info)
	}
	if err := c.spillway.discover(setup); err != nil {
		return err
	}
	if err := c.mover.open(); err != nil {
		return err
	}
	for _, l := range c.lanes {
		if err := l.open(); err != nil {
			return err
		}
	}
	return nil
}

// close ends the subscriptions of a Consumer that could not be started.
func (c *Consumer) close() {
	for _, l := range c.lanes {
		l.close()
	}
	c.mover.close()
}

func (c *Consumer) startHelpers(ctx context.Context, cr *crew) {
	cr.helpers.Go(func() { c.mover.run(ctx) })
	cr.helpers.Go(func() { c.keepLeases(ctx) })
	cr.helpers.Go(func() { c.watchLeases(ctx) })
	cr.helpers.Go(func() { every(ctx, noiseTick, c.listen) })
	cr.helpers.Go(func() { every(ctx, tenantRatesTurn, c.rates.turn) })
	if c.observers.ticks() {
		cr.helpers.Go(func() { every(ctx, tickEvery, func() { c.observers.tick(time.Now()) }) })
	}
	cr.helpers.Go(func() {
		if err := c.keeper.run(ctx); err != nil {
			cr.fatal <- err
		}
	})
}

func (c *Consumer) startWorkers(ctx context.Context, cr *crew) {
	c.base = ctx
	c.spawnWorker = func(ctx context.Context) {
		cr.workers.Go(func() { c.work(ctx) })
	}
	for range c.cfg.Workers {
		c.spawnWorker(ctx)
	}
}

// runOverflow runs an overflow lane, which may have run before.
func (c *Consumer) runOverflow(ctx context.Context, l *lane) {
	if err := l.open(); err != nil {
		c.logs.pull.warn("an overflow lane could not be opened", "consumer", l.consumer, "error", err)
		select { // the connection is closed, or will be
		case <-ctx.Done():
		case <-time.After(resumeMax):
		}
		return
	}
	l.broken = true
	c.keeper.equip(l)
	l.run(ctx)
}

// keepLeases renews leases until ctx is done.
func (c *Consumer) keepLeases(ctx context.Context) {
	every(ctx, c.leases.tick(), func() { c.renewLeases(ctx, time.Now()) })
}

// watchLeases gives up leases until ctx is done. It is apart from keepLeases because a
// connection that takes nothing any more blocks that one.
func (c *Consumer) watchLeases(ctx context.Context) {
	every(ctx, c.leases.tick(), func() { c.leases.giveUp(time.Now()) })
}

// every calls f at an interval until ctx is done.
func every(ctx context.Context, interval time.Duration, f func()) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			f()
		case <-ctx.Done():
			return
		}
	}
}

// waitFor waits for wg, and reports false if ctx ended first.
func waitFor(ctx context.Context, wg *sync.WaitGroup) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		wg.Wait()
	}()
	select {
	case <-done:
		return true
	case <-ctx.Done():
		return false
	}
}
