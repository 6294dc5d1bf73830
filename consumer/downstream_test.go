package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

// routes are routes from subjects of the kinds billing and mail to downstreams of that name.
func routes(billing, mail consumer.Handler) *consumer.Mux {
	m := new(consumer.Mux)
	m.Route(consumer.Route{Subject: "jobs.*.billing", Downstream: "billing", Handler: billing})
	if mail != nil {
		m.Route(consumer.Route{Subject: "jobs.*.mail", Downstream: "mail", Handler: mail})
	}
	return m
}

func (r *rig) downstream(name string) consumer.DownstreamState {
	r.t.Helper()
	for _, d := range r.c.Snapshot().Downstreams {
		if d.Downstream == name {
			return d
		}
	}
	r.t.Fatalf("there is no downstream %s", name)
	return consumer.DownstreamState{}
}

// flaky is a handler that fails while it is down.
type flaky struct {
	recorder
	down atomic.Bool
}

func newFlaky(down bool) *flaky {
	f := new(flaky)
	f.down.Store(down)
	f.next = func(context.Context, *consumer.Message) error {
		if f.down.Load() {
			return errBoom
		}
		return nil
	}
	return f
}

// tripAfter is a breaker that opens after n failures, for about open.
func tripAfter(n int, open time.Duration) consumer.Downstream {
	return consumer.Downstream{Breaker: consumer.Breaker{FailureRatio: 1, MinCalls: n, Open: open, MaxOpen: open}}
}

func TestAnOpenBreakerCostsNoAttemptAndNoNakHoweverLong(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), newFlaky(true)
		for i := range 60 {
			r.publish(fmt.Sprintf("jobs.t%d.billing", i%6), "")
		}
		var naks atomic.Int64
		r.observe(config(t, func(cfg *consumer.Config) {
			cfg.Workers, cfg.AckWait = 1, 2*time.Second
			cfg.Retry.Initial = time.Hour // what failed is out of the way
			cfg.Retry.Max = time.Hour
			cfg.Downstreams = map[string]consumer.Downstream{"billing": tripAfter(5, 100*time.Second)}
		}), routes(h, nil), consumer.Observer{Settled: func(e consumer.Settled) {
			if e.Lane == consumer.LaneMain && e.Outcome != consumer.OutcomeAck && e.Outcome != consumer.OutcomeRetry {
				naks.Add(1)
			}
		}})

		time.Sleep(70 * time.Second) // 35 times AckWait, and less than the breaker is open
		if n := len(h.all()); n != 5 {
			t.Fatalf("%d messages ran, want the 5 that opened the breaker", n)
		}
		d := r.downstream("billing")
		if d.Breaker.State != consumer.BreakerOpen || d.Waiting != consumer.WaitDownstreamBreaker || d.Until != d.Breaker.Until || d.Queued != 55 {
			t.Errorf("the downstream is %+v, %+v", d, d.Breaker)
		}
		h.down.Store(false)
		time.Sleep(time.Until(d.Until) + time.Second)
		runs := h.all()
		if len(runs) != 60 {
			t.Fatalf("%d messages ran after the breaker's time, want 60", len(runs))
		}
		if probe := runs[5].at; probe.Before(d.Until) || probe.Sub(d.Until) > time.Millisecond {
			t.Errorf("the probe ran at %v, want %v", probe, d.Until)
		}
		for _, run := range runs {
			if run.m.Attempt != 1 || run.m.Deliveries != 1 {
				t.Errorf("message %d ran with attempt %d, delivery %d", run.m.Sequence, run.m.Attempt, run.m.Deliveries)
			}
		}
		if n := naks.Load(); n != 0 {
			t.Errorf("%d messages were handed back", n)
		}
		if d := r.downstream("billing"); d.Breaker.State != consumer.BreakerClosed || d.Waiting != "" {
			t.Errorf("the downstream is %+v, %+v", d, d.Breaker)
		}
		if n := r.c.Snapshot().LeasesLost; n != 0 {
			t.Errorf("%d leases were lost", n)
		}
	})
}

func TestAFailedProbeSpendsOneAttemptAndTheNextIsAnotherMessage(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), newFlaky(true)
		for range 20 {
			r.publish("jobs.acme.billing", "")
		}
		var mu sync.Mutex
		var turns []consumer.BreakerState
		r.observe(config(t, func(cfg *consumer.Config) {
			cfg.Workers = 8
			cfg.Retry.Initial, cfg.Retry.Max = time.Hour, time.Hour
			d := tripAfter(1, 10*time.Second)
			d.Limit = consumer.Limit{Algorithm: limiter.Fixed, Max: 1}
			cfg.Downstreams = map[string]consumer.Downstream{"billing": d}
		}), routes(h, nil), consumer.Observer{BreakerTurned: func(e consumer.BreakerTurned) {
			mu.Lock()
			defer mu.Unlock()
			turns = append(turns, e.To)
		}})

		time.Sleep(60 * time.Second)
		runs := h.all()
		if len(runs) < 5 || len(runs) > 8 { // one each 8 to 12 s
			t.Fatalf("%d messages were tried in a minute, want one in about 10 s", len(runs))
		}
		for i, run := range runs {
			if run.m.Sequence != uint64(i+1) || run.m.Attempt != 1 {
				t.Errorf("try %d was message %d, attempt %d", i+1, run.m.Sequence, run.m.Attempt)
			}
			if i > 0 && run.at.Sub(runs[i-1].at) < 8*time.Second {
				t.Errorf("try %d was %v after the one before", i+1, run.at.Sub(runs[i-1].at))
			}
		}
		mu.Lock()
		defer mu.Unlock()
		want := []consumer.BreakerState{consumer.BreakerOpen, consumer.BreakerHalfOpen, consumer.BreakerOpen, consumer.BreakerHalfOpen}
		if !slices.Equal(turns[:4], want) {
			t.Errorf("the breaker turned %v, want %v", turns[:4], want)
		}
	})
}

func TestADeadDownstreamIsPassedByByMessagesForOthers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, billing, mail := newRig(t), newFlaky(true), record(nil)
		for i := range 200 {
			r.publish(fmt.Sprintf("jobs.t%d.%s", i%4, []string{"billing", "mail"}[i/4%2]), "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Workers = 2
			cfg.Retry.Initial, cfg.Retry.Max = time.Hour, time.Hour
			cfg.Downstreams = map[string]consumer.Downstream{"billing": tripAfter(2, time.Hour)}
		}), routes(billing, mail))
		time.Sleep(10 * time.Second)
		if n := len(mail.all()); n != 100 {
			t.Errorf("%d of 100 messages for the downstream that works were handled", n)
		}
		if n := len(billing.all()); n > 3 {
			t.Errorf("%d messages were tried with the dead one", n)
		}
		if l := (&process{t: t, c: r.c}).lane(consumer.LaneMain); l.Paused != "" {
			t.Errorf("the pull is paused: %s", l.Paused)
		}
	})
}

func TestTheEndOfAHandlerTellsLimiterAndBreakerWhatTheTableSays(t *testing.T) {
	type want struct{ success, drop, ignored, calls, failures int }
	for name, tt := range map[string]struct {
		handle func(ctx context.Context) error
		want   want
	}{
		"nil":         {func(context.Context) error { return nil }, want{success: 1, calls: 1}},
		"error":       {func(context.Context) error { return errBoom }, want{ignored: 1, calls: 1, failures: 1}},
		"panic":       {func(context.Context) error { panic("boom") }, want{ignored: 1, calls: 1, failures: 1}},
		"goexit":      {func(context.Context) error { goexit(); return nil }, want{ignored: 1, calls: 1, failures: 1}},
		"timeout":     {func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }, want{drop: 1, calls: 1, failures: 1}},
		"RetryAfter":  {func(context.Context) error { return consumer.RetryAfter(errBoom, time.Hour) }, want{ignored: 1}},
		"Overloaded":  {func(context.Context) error { return consumer.Overloaded(errBoom, time.Hour) }, want{drop: 1}},
		"DeadLetter":  {func(context.Context) error { return consumer.DeadLetter(errBoom) }, want{success: 1, calls: 1}},
		"late but ok": {func(ctx context.Context) error { <-ctx.Done(); return nil }, want{success: 1, calls: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				m := new(consumer.Mux)
				m.Route(consumer.Route{
					Subject: "jobs.>", Downstream: "billing", Timeout: 2 * time.Second,
					Handler: consumer.HandlerFunc(func(ctx context.Context, _ *consumer.Message) error { return tt.handle(ctx) }),
				})
				r.publish("jobs.acme.x", "")
				r.run(config(t, func(cfg *consumer.Config) { cfg.Retry.Initial, cfg.Retry.Max = time.Hour, time.Hour }), m)
				time.Sleep(5 * time.Second)
				d := r.downstream("billing")
				got := want{int(d.Limit.Succeeded), int(d.Limit.Dropped), int(d.Limit.Ignored), d.Breaker.Calls, d.Breaker.Failures}
				if got != tt.want {
					t.Errorf("limiter and breaker were told %+v, want %+v", got, tt.want)
				}
				if d.InFlight != 0 {
					t.Errorf("%d are in flight", d.InFlight)
				}
			})
		})
	}
}

func TestWhatTheDrainCancelsTellsLimiterAndBreakerNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.publish("jobs.acme.billing", "")
		h := consumer.HandlerFunc(func(ctx context.Context, _ *consumer.Message) error { <-ctx.Done(); return ctx.Err() })
		r.run(config(t, func(cfg *consumer.Config) { cfg.DrainTimeout = time.Second }), routes(h, nil))
		time.Sleep(time.Second)
		if err := r.stop(); !errors.Is(err, consumer.ErrDrainTimeout) {
			t.Fatal(err)
		}
		if d := r.downstream("billing"); d.Limit.Ignored != 1 || d.Breaker.Calls != 0 {
			t.Errorf("told were %+v, %+v", d.Limit, d.Breaker)
		}
	})
}

func TestOverloadLowersTheLimitAndLeavesTheBreakerClosed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const capacity = 4
		r := newRig(t)
		var running, most atomic.Int64
		h := record(func(context.Context, *consumer.Message) error {
			n := running.Add(1)
			defer running.Add(-1)
			time.Sleep(20 * time.Millisecond)
			if n > capacity {
				return consumer.Overloaded(errBoom, 0)
			}
			most.Store(max(most.Load(), n))
			return nil
		})
		for i := range 2000 {
			r.publish(fmt.Sprintf("jobs.t%d.billing", i%50), "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {
				Limit:   consumer.Limit{Algorithm: limiter.AIMD, Max: 64, Initial: 64},
				Breaker: consumer.Breaker{MinCalls: 2, FailureRatio: 0.01},
			}}
		}), routes(h, nil))
		eventually(t, time.Minute, "all are handled", r.settled)
		d := r.downstream("billing")
		if d.Limit.Limit > 2*capacity || d.Limit.Dropped == 0 || d.Overloads != d.Limit.Dropped {
			t.Errorf("the limit is %+v after %d overload answers, the downstream takes %d", d.Limit, d.Overloads, capacity)
		}
		if d.Breaker.State != consumer.BreakerClosed || !d.Breaker.Since.IsZero() || d.Breaker.Failures != 0 {
			t.Errorf("the breaker is %+v", d.Breaker)
		}
		for seq, n := range h.bySequence() {
			if n < 1 {
				t.Errorf("message %d ran %d times", seq, n)
			}
		}
		for _, run := range h.all() {
			if run.m.Attempt != 1 {
				t.Fatalf("message %d ran as attempt %d", run.m.Sequence, run.m.Attempt)
			}
		}
	})
}

func TestNoMoreRunThanTheLimitAndAsManyAsItAllows(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		var running, most atomic.Int64
		h := consumer.HandlerFunc(func(context.Context, *consumer.Message) error {
			n := running.Add(1)
			for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
			}
			time.Sleep(time.Second)
			running.Add(-1)
			return nil
		})
		for i := range 60 {
			r.publish(fmt.Sprintf("jobs.t%d.billing", i%7), "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Limit: consumer.Limit{Algorithm: limiter.Fixed, Max: 5}}}
		}), routes(h, nil))
		start := time.Now()
		time.Sleep(500 * time.Millisecond)
		if d := r.downstream("billing"); d.InFlight != 5 || d.Waiting != consumer.WaitDownstreamLimit || d.Limit.Limit != 5 {
			t.Errorf("the downstream is %+v", d)
		}
		eventually(t, time.Minute, "all are handled", r.settled)
		if took := time.Since(start); took > 13*time.Second {
			t.Errorf("60 messages of 1 s, 5 at once, took %v", took)
		}
		if most.Load() != 5 {
			t.Errorf("%d ran at once, want 5", most.Load())
		}
	})
}

func TestAProbeThatSaysNothingMakesRoomForTheNextAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		var n atomic.Int64
		h := record(func(context.Context, *consumer.Message) error {
			switch n.Add(1) {
			case 1:
				return errBoom
			case 2, 3:
				return consumer.RetryAfter(errBoom, time.Hour)
			}
			return nil
		})
		for range 5 {
			r.publish("jobs.acme.billing", "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Workers = 1
			cfg.Downstreams = map[string]consumer.Downstream{"billing": tripAfter(1, 100*time.Second)}
		}), routes(h, nil))
		time.Sleep(2 * time.Minute) // a probe that is lost keeps its place for 100 s
		if runs := h.all(); len(runs) < 5 || runs[4].at.Sub(runs[1].at) > time.Millisecond {
			t.Errorf("%d ran, the fifth %v after the first probe", len(runs), runs[len(runs)-1].at.Sub(runs[1].at))
		}
	})
}

func TestALimitThatGrowsLetsMoreRunAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := consumer.HandlerFunc(func(context.Context, *consumer.Message) error {
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		for i := range 2000 {
			r.publish(fmt.Sprintf("jobs.t%d.billing", i%50), "")
		}
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Downstreams = map[string]consumer.Downstream{"billing": {Limit: consumer.Limit{Algorithm: limiter.AIMD, Initial: 1, Max: 8}}}
		}), routes(h, nil))
		start := time.Now()
		eventually(t, time.Minute, "all are handled", r.settled)
		if took := time.Since(start); took > 4*time.Second { // one at once: 20 s; eight: 2.5 s
			t.Errorf("2000 messages of 10 ms took %v", took)
		}
		if d := r.downstream("billing"); d.Limit.Limit != 8 || d.Limit.Why != string(limiter.Grew) || d.Limit.From != 7 {
			t.Errorf("the limit is %+v", d.Limit)
		}
	})
}
