package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// The bounds of the steps of a drain, beside DrainTimeout for the handlers.
const (
	drainLook  = 100 * time.Millisecond // at whether anything can still be finished
	drainGrace = 5 * time.Second        // for handlers to return once their context has ended
	drainMoves = 5 * time.Second        // for copies to be confirmed
	drainFlush = 5 * time.Second        // for the server to have seen every settlement
)

// drain is the orderly stop: no more pulls, finish what is held, settle the moves,
// hand back the rest, flush. Each step has a bound of its own, so that a step that
// runs out takes nothing from the next.
func (c *Consumer) drain(ctx context.Context, cr *crew, stopLanes, stopHelp context.CancelFunc) error {
	c.setState(StateDraining)
	c.staff.freeze()
	c.log.Info("draining", "held", c.held.Load(), "timeout", c.cfg.DrainTimeout)
	c.spillway.close()
	stopLanes()
	cr.lanes.Wait()

	finished := c.awaitHeld(ctx)
	c.handBackQueued()
	var errs []error
	if !finished {
		errs = append(errs, ErrDrainTimeout)
		c.log.Warn("the drain ran out of time: what still runs is ended, and given to other processes", "running", c.inFlight.Load(), "timeout", c.cfg.DrainTimeout)
		c.leases.each(func(d *delivery) {
			if d.started.Load() != 0 {
				d.run().end(ErrDrainTimeout)
			}
		})
	}
	grace, cancel := context.WithTimeout(ctx, drainGrace)
	defer cancel()
	if !waitFor(grace, &cr.workers) {
		errs = append(errs, fmt.Errorf("consumer: %d handlers ignore the end of their context", c.inFlight.Load()))
	}

	moves, cancel := context.WithTimeout(ctx, drainMoves)
	defer cancel()
	c.mover.drain(moves)
	stopHelp()
	cr.helpers.Wait()
	for _, d := range c.mover.undecided() {
		c.abandon(d, OutcomeHandBack)
	}
	if err := c.flush(ctx, cr); err != nil {
		errs = append(errs, fmt.Errorf("consumer: the last settlements may not have reached the server: %w", err))
	}
	ended := "drained"
	if !finished {
		ended = "drained, with runs that were ended early"
	}
	c.log.Info(ended, "not_settled", c.held.Load())
	return errors.Join(errs...)
}

// flush tells the server what is left to tell, and returns when it knows.
func (c *Consumer) flush(ctx context.Context, cr *crew) error {
	ctx, cancel := context.WithTimeout(ctx, drainFlush)
	defer cancel()
	c.outbox.close()
	if !waitFor(ctx, &cr.post) {
		return ctx.Err()
	}
	return c.nc.FlushWithContext(ctx)
}

// awaitHeld waits until nothing is held that could still be finished, and reports
// false if that took longer than DrainTimeout.
func (c *Consumer) awaitHeld(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DrainTimeout)
	defer cancel()
	look := time.NewTicker(drainLook)
	defer look.Stop()
	for c.held.Load() > 0 {
		select {
		case <-c.held.zero:
		case <-look.C:
			if c.stalled() {
				return true
			}
		case <-ctx.Done():
			return c.held.Load() == 0
		}
	}
	return true
}

// stalled reports whether nothing is running or moving and what is queued may not
// run: its downstream rests, or it waits after an overload answer. Others can take it.
func (c *Consumer) stalled() bool {
	if c.inFlight.Load() > 0 || c.mover.load() > 0 {
		return false
	}
	for _, class := range c.queues.Classes() {
		if class.Open && class.Runnable > 0 {
			return false
		}
	}
	return true
}

// handBackQueued hands back what still waits for a worker.
func (c *Consumer) handBackQueued() {
	for _, d := range slices.Concat(c.queues.Close(), c.spillway.takeAllBehind()) {
		if d.lane.kind == LaneSuspect && c.movable(d) {
			c.suspect(d) // its delivery counts as a strike
			continue
		}
		c.giveBack(d)
	}
}
