package load

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// await returns when nothing is in flight any more, or ctx ends.
func (r *run) await(ctx context.Context) {
	r.mu.Lock()
	r.sentAll = true
	if r.inFlight == 0 {
		signal(r.idle)
	}
	r.mu.Unlock()
	select {
	case <-r.idle:
	case <-ctx.Done():
	}
}

// abandon counts what is in flight as unfinished, and reports whether there was any.
func (r *run) abandon() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	any := r.first != nil
	for c := r.first; c != nil; c = r.first {
		r.take(c)
		r.book.abandon(c)
	}
	return any
}

// returned waits for the goroutines of targets, and reports whether all have ended.
func (r *run) returned() bool {
	ended := make(chan struct{})
	go func() { // outlives the run only if they do
		r.calls.Wait()
		close(ended)
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-ended:
		return true
	case <-timer.C:
		return false
	}
}

// expire ends what is in flight for longer than the timeout. As the timeout is the same
// for all, the first in flight is the first to expire.
func (r *run) expire(ctx context.Context) {
	const often, seldom, share = time.Millisecond, 100 * time.Millisecond, 50
	ticker := time.NewTicker(min(max(r.cfg.Timeout/share, often), seldom))
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.expireAt(time.Now())
		case <-ctx.Done():
			return
		}
	}
}

func (r *run) expireAt(now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	label := r.label(ErrTimeout)
	for c := r.first; c != nil && !now.Before(c.Deadline()); c = r.first {
		r.take(c)
		r.book.end(c, now.Sub(c.Due), false, label)
	}
}

// label names a failure.
func (r *run) label(err error) string {
	if errors.Is(err, ErrTimeout) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("not done within %v", r.cfg.Timeout)
	}
	return err.Error()
}

// Progress is what a run has done until now. Rates and quantiles are of the time since
// the last one.
type Progress struct {
	Elapsed, Total time.Duration
	Rate           float64 // asked for, per second
	Sent, Done     float64 // per second
	InFlight       int
	P50, P99       time.Duration // latency
	LagP99         time.Duration // how late requests were sent
	Account        Account       // since the begin
}

// report calls OnProgress.
func (r *run) report(ctx context.Context) {
	ticker := time.NewTicker(r.cfg.Every)
	defer ticker.Stop()
	last := Progress{}
	for {
		select {
		case <-ticker.C:
			last = r.progress(last, time.Now())
			r.cfg.OnProgress(last)
		case <-ctx.Done():
			return
		}
	}
}

func (r *run) progress(last Progress, now time.Time) Progress {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := Progress{
		Elapsed: now.Sub(r.start), Total: r.schedule.Duration(), InFlight: r.inFlight,
		P50: quantile(r.book.window, 0.5), P99: quantile(r.book.window, 0.99), LagP99: quantile(r.book.windowLag, 0.99),
		Account: r.book.sum(),
	}
	p.Rate = r.schedule.Rate(p.Elapsed)
	if d := (p.Elapsed - last.Elapsed).Seconds(); d > 0 {
		p.Sent = float64(p.Account.Sent-last.Account.Sent) / d
		p.Done = float64(p.Account.Done()-last.Account.Done()) / d
	}
	r.book.window.Reset()
	r.book.windowLag.Reset()
	return p
}
