package load

import (
	"context"
	"sync"
	"time"
)

// Bounds of a closed loop.
const maxWorkers = 1024

// RunClosed makes the load as a naive closed loop does, to be looked at beside Run: each
// of the workers takes the next request that is due, sends it, and waits until it is done.
// Latency counts from when it was sent; what came due while all workers were waiting is
// never sent, and counted as Dropped. There are at least one and at most 1024 workers.
func (r *Runner) RunClosed(ctx context.Context, t Target, workers int) *Result {
	run := newRun(r.cfg, r.schedule)
	loop := &closedLoop{run: run, target: t, cursor: r.schedule.begin()}
	res := run.do(ctx, func(calls context.Context) {
		var wg sync.WaitGroup
		for range min(max(workers, 1), maxWorkers) {
			wg.Go(func() { loop.work(ctx, calls) })
		}
		wg.Wait()
		loop.rest(ctx)
	})
	res.Invalid = nil
	res.Invalidate("a closed loop measures what it sends, and sends what it has time for")
	return res
}

// A closedLoop hands the requests of a schedule to its workers.
//
// mu guards the cursor.
type closedLoop struct {
	run    *run
	target Target

	mu     sync.Mutex
	cursor *cursor
}

func (l *closedLoop) work(ctx, calls context.Context) {
	var p pacer
	for free := l.run.start; ; free = time.Now() {
		a, ok := l.claim(free)
		if !ok {
			return
		}
		if !p.until(ctx, l.run.start.Add(a.At)) {
			return
		}
		if ctx.Err() != nil { // both at once
			l.run.drop(a, false)
			return
		}
		now := time.Now()
		ended := make(chan struct{})
		l.target.Start(calls, l.run.begin(a, now, now, ended)) // due when it is sent: the naive part
		select {
		case <-ended:
		case <-ctx.Done():
			return
		}
	}
}

// claim returns the next request that is due after now. Those before are omitted.
func (l *closedLoop) claim(now time.Time) (Arrival, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for {
		a, ok := l.cursor.next()
		if !ok || !l.run.start.Add(a.At).Before(now) {
			return a, ok
		}
		l.run.drop(a, false)
	}
}

// rest omits what came due until ctx ended.
func (l *closedLoop) rest(ctx context.Context) {
	if ctx.Err() != nil {
		l.claim(time.Now())
	}
}
