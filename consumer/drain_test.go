package consumer_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

func TestADrainFinishesWhatIsHeldAndHandsBackNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(context.Context, *consumer.Message) error {
			time.Sleep(time.Second)
			return nil
		})
		for range 20 {
			r.publish("jobs.acme.x", "")
		}
		r.run(config(t, func(cfg *consumer.Config) { cfg.Workers = 4 }), h)
		time.Sleep(500 * time.Millisecond)
		if err := r.stop(); err != nil {
			t.Fatal(err)
		}
		if n := len(h.all()); n != 20 {
			t.Errorf("%d messages ran, want all 20 that were held", n)
		}
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("%d not acknowledged", n)
		}
		if s := r.c.Snapshot(); s.State != consumer.StateStopped || s.Held != 0 {
			t.Errorf("state %s with %d held", s.State, s.Held)
		}
	})
}

func TestADrainThatRunsOutEndsTheHandlersAndHandsTheRestBackAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		causes := make(chan error, 10)
		h := record(func(ctx context.Context, _ *consumer.Message) error {
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		})
		for range 20 {
			r.publish("jobs.acme.x", "")
		}
		cfg := config(t, func(cfg *consumer.Config) { cfg.Workers = 4; cfg.DrainTimeout = 3 * time.Second })
		r.run(cfg, h)
		time.Sleep(time.Second)
		began := time.Now()
		if err := r.stop(); !errors.Is(err, consumer.ErrDrainTimeout) {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("the drain took %v", took)
		}
		for range 4 {
			if cause := <-causes; !errors.Is(cause, consumer.ErrDrainTimeout) {
				t.Errorf("cause %v", cause)
			}
		}
		next := record(nil)
		r.run(cfg, next)
		time.Sleep(time.Second) // well within AckWait
		runs := next.all()
		if len(runs) != 20 {
			t.Fatalf("%d messages came back, want 20", len(runs))
		}
		for _, run := range runs {
			if run.m.Attempt != 1 {
				t.Errorf("a hand-back spent an attempt: %+v", run.m)
			}
		}
	})
}

func TestADrainDoesNotWaitForADownstreamThatIsOverloaded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(context.Context, *consumer.Message) error { return consumer.Overloaded(errBoom, 10*time.Minute) })
		for range 20 {
			r.publish("jobs.acme.x", "")
		}
		cfg := config(t, func(cfg *consumer.Config) { cfg.DrainTimeout = time.Minute })
		r.run(cfg, h)
		time.Sleep(time.Second)
		began := time.Now()
		if err := r.stop(); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("the drain took %v", took)
		}
		next := record(nil)
		r.run(cfg, next)
		time.Sleep(time.Second)
		if n := len(next.all()); n != 20 {
			t.Errorf("%d messages came back, want 20", n)
		}
	})
}

func TestAHandlerThatIgnoresItsContextIsStuckAndDoesNotKeepRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		release := make(chan struct{})
		t.Cleanup(func() { close(release) })
		h := record(func(context.Context, *consumer.Message) error {
			<-release
			return nil
		})
		var mux consumer.Mux
		mux.Route(consumer.Route{Subject: "jobs.>", Handler: h, Timeout: time.Second})
		r.publish("jobs.acme.x", "")
		r.run(config(t, func(cfg *consumer.Config) { cfg.DrainTimeout = time.Second }), &mux)
		time.Sleep(10 * time.Second)
		if s := r.c.Snapshot(); s.Stuck != 1 || s.InFlight != 1 {
			t.Errorf("%d stuck, %d in flight, want 1 and 1", s.Stuck, s.InFlight)
		}
		if err := r.stop(); err == nil || !contains(err.Error(), "1 handlers ignore the end of their context") {
			t.Errorf("Run returned %v", err)
		}
	})
}

func TestRunCanBeCalledOnceAndObserveNotAfterIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.run(config(t, nil), record(nil))
		time.Sleep(time.Second)
		if err := r.c.Run(t.Context()); err == nil {
			t.Error("a second Run was taken")
		}
		if err := r.c.Observe(consumer.Observer{}); err == nil {
			t.Error("Observe was taken after Run")
		}
		if err := r.c.Ready(); err != nil {
			t.Errorf("not ready: %v", err)
		}
		if err := r.stop(); err != nil {
			t.Error(err)
		}
		if err := r.c.Ready(); err == nil {
			t.Error("ready after the end")
		}
	})
}

func contains(s, sub string) bool { return strings.Contains(s, sub) }
