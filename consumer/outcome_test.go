package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer"
)

var errBoom = errors.New("boom")

func TestAHandlerThatReturnsNilHasItsMessageAcknowledged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), record(nil)
		seq := r.publish("jobs.acme.resize", "picture", "X-Kind", "png")
		r.run(config(t, nil), h)
		time.Sleep(time.Second)
		runs := h.all()
		if len(runs) != 1 {
			t.Fatalf("ran %d times, want once", len(runs))
		}
		m := runs[0].m
		if m.Subject != "jobs.acme.resize" || m.Tenant != "acme" || m.Stream != "JOBS" || m.Sequence != seq ||
			m.Attempt != 1 || m.Deliveries != 1 || string(m.Data) != "picture" || m.Header.Get("X-Kind") != "png" || m.Published.IsZero() {
			t.Errorf("the handler saw %+v", m)
		}
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("%d messages are not acknowledged", n)
		}
	})
}

func TestAFailedRunSpendsAnAttemptAndIsRetriedWithBackoff(t *testing.T) {
	for name, fail := range map[string]func(context.Context) error{
		"an error": func(context.Context) error { return errBoom },
		"a panic":  func(context.Context) error { panic("boom") },
		"goexit": func(context.Context) error {
			goexit()
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				r := newRig(t)
				h := record(func(ctx context.Context, _ *consumer.Message) error { return fail(ctx) })
				r.publish("jobs.acme.x", "")
				r.run(config(t, func(cfg *consumer.Config) {
					cfg.Retry.MaxAttempts = 5
					cfg.Retry.Initial = time.Second
					cfg.Retry.Max = 5 * time.Second
					cfg.Workers = 1
				}), h)
				time.Sleep(time.Minute)
				want := []string{"1@0s", "2@1s", "3@3s", "4@7s", "5@12s"}
				if got := h.attempts(); !slices.Equal(got, want) {
					t.Errorf("attempts %v, want %v", got, want)
				}
				letters := r.letters()
				if len(letters) != 1 || letters[0].Header.Get("Spillway-Reason") != "attempts" || letters[0].Header.Get("Spillway-Attempts") != "5" {
					t.Errorf("dead letters: %+v", letters)
				}
				if got := r.settledAs(consumer.OutcomeRetry); got != 4 {
					t.Errorf("%d retries, want 4", got)
				}
				if left := r.streamMsgs("JOBS_OVERFLOW"); left != 0 {
					t.Errorf("%d copies are left", left)
				}
			})
		})
	}
}

func TestARunThatPassesItsTimeoutIsRetriedAndKnowsWhy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		var mux consumer.Mux
		causes := make(chan error, 10)
		h := record(func(ctx context.Context, m *consumer.Message) error {
			if m.Attempt > 1 {
				return nil
			}
			<-ctx.Done()
			causes <- context.Cause(ctx)
			return ctx.Err()
		})
		mux.Route(consumer.Route{Subject: "jobs.>", Handler: h, Timeout: 3 * time.Second})
		results := make(chan consumer.Result, 10)
		r.publish("jobs.acme.x", "")
		r.observe(config(t, nil), &mux, consumer.Observer{Handled: func(e consumer.Handled) { results <- e.Result }})
		time.Sleep(time.Minute)
		if got, want := h.attempts(), []string{"1@0s", "2@4s"}; !slices.Equal(got, want) {
			t.Errorf("attempts %v, want %v", got, want)
		}
		if cause := <-causes; !errors.Is(cause, context.DeadlineExceeded) {
			t.Errorf("cause %v", cause)
		}
		if got := <-results; got != consumer.ResultTimeout {
			t.Errorf("result %v", got)
		}
	})
}

func TestRetryAfterSetsTheDelayAndSpendsAnAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(_ context.Context, m *consumer.Message) error {
			if m.Attempt == 3 {
				return nil
			}
			return consumer.RetryAfter(errBoom, 40*time.Second)
		})
		r.publish("jobs.acme.x", "")
		r.run(config(t, nil), h)
		time.Sleep(3 * time.Minute)
		if got, want := h.attempts(), []string{"1@0s", "2@40s", "3@80s"}; !slices.Equal(got, want) {
			t.Errorf("attempts %v, want %v", got, want)
		}
	})
}

func TestAContextKeptFromAnOverloadedRunStaysEndedAndTheNextIsEndedByTheDrain(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.publish("jobs.acme.x", "")
		kept := make(chan context.Context, 2)
		ended := make(chan error, 1)
		first := true
		r.run(config(t, func(cfg *consumer.Config) { cfg.DrainTimeout = time.Second }), consumer.HandlerFunc(func(ctx context.Context, _ *consumer.Message) error {
			kept <- ctx
			if first {
				first = false
				return consumer.Overloaded(errBoom, time.Second)
			}
			<-ctx.Done()
			ended <- context.Cause(ctx)
			return ctx.Err()
		}))
		one, two := <-kept, <-kept
		if one.Err() == nil || two.Err() != nil {
			t.Errorf("while the second run goes on: of the first %v, of the second %v", one.Err(), two.Err())
		}
		if err := r.stop(); !errors.Is(err, consumer.ErrDrainTimeout) {
			t.Errorf("Run returned %v", err)
		}
		if cause := <-ended; !errors.Is(cause, consumer.ErrDrainTimeout) || errors.Is(context.Cause(one), consumer.ErrDrainTimeout) {
			t.Errorf("the second run was ended by %v, the first by %v", cause, context.Cause(one))
		}
	})
}

func TestOverloadedKeepsTheMessageAtTheHeadOfItsQueueAndSpendsNoAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		n := 0
		h := record(func(_ context.Context, m *consumer.Message) error {
			if n++; n <= 3 {
				return consumer.Overloaded(errBoom, 20*time.Second)
			}
			return nil
		})
		first := r.publish("jobs.acme.x", "")
		second := r.publish("jobs.acme.x", "")
		r.run(config(t, func(cfg *consumer.Config) { cfg.Workers = 1; cfg.AckWait = 10 * time.Second }), h)
		time.Sleep(3 * time.Minute)
		if got, want := h.attempts(), []string{"1@0s", "1@20s", "1@40s", "1@60s", "1@60s"}; !slices.Equal(got, want) {
			t.Errorf("attempts %v, want %v", got, want)
		}
		if got := h.bySequence(); got[first] != 4 || got[second] != 1 {
			t.Errorf("runs by sequence: %v", got)
		}
		for _, run := range h.all() {
			if run.m.Deliveries != 1 {
				t.Errorf("delivered %d times: the lease was not kept", run.m.Deliveries)
			}
		}
		if s := r.c.Snapshot(); s.Downstreams[0].Overloads != 3 || s.LeasesExtended == 0 {
			t.Errorf("snapshot %+v", s)
		}
	})
}

func TestADownstreamThatAnswersOnlyOverloadRestsLongerEachTime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(context.Context, *consumer.Message) error { return consumer.Overloaded(errBoom, 0) })
		for i := range 200 {
			r.publish(fmt.Sprintf("jobs.t%d.x", i), "")
		}
		r.run(config(t, func(cfg *consumer.Config) { cfg.Workers = 4 }), h)
		time.Sleep(time.Minute)
		first := len(h.all())
		time.Sleep(10 * time.Minute)
		perMinute := (len(h.all()) - first) / 10
		if perMinute > first || perMinute > 60 {
			t.Errorf("%d runs in the first minute, then %d a minute: the downstream is not left alone", first, perMinute)
		}
		if perMinute == 0 {
			t.Error("the downstream is never tried again")
		}
		// What was not pulled before the first rest stays in the stream meanwhile.
		if i := r.info("JOBS", "w"); i.NumAckPending+int(i.NumPending) != 200 || i.NumRedelivered != 0 {
			t.Errorf("%d messages held and %d not pulled, want 200 together; %d redelivered", i.NumAckPending, i.NumPending, i.NumRedelivered)
		}
	})
}

func TestDeadLetterEndsAMessageAtOnceAndTellsAllThatIsKnown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(context.Context, *consumer.Message) error {
			return consumer.DeadLetter(fmt.Errorf("line one\r\nSpillway-Forged: yes: %w", errBoom))
		})
		seq := r.publish("jobs.acme.x", "payload", "X-Trace", "abc", "Nats-Msg-Id", "mine")
		r.run(config(t, nil), h)
		time.Sleep(time.Second)
		letters := r.letters()
		if len(letters) != 1 {
			t.Fatalf("%d dead letters, want 1", len(letters))
		}
		l := letters[0]
		want := map[string]string{
			"Spillway-Reason": "permanent", "Spillway-Attempts": "1", "Spillway-Origin-Subject": "jobs.acme.x", "Spillway-Stream": "JOBS",
			"Spillway-Sequence": fmt.Sprint(seq), "Spillway-Tenant": "acme", "X-Trace": "abc", "Spillway-Carried-Nats-Msg-Id": "mine",
			"Spillway-Error": `line one\nSpillway-Forged: yes: boom`, "Spillway-Forged": "",
		}
		for k, v := range want {
			if got := l.Header.Get(k); got != v {
				t.Errorf("header %s is %q, want %q", k, got, v)
			}
		}
		if l.Subject != "JOBS_DEAD.w.acme" || string(l.Data) != "payload" {
			t.Errorf("dead letter %s with %q", l.Subject, l.Data)
		}
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("%d not acknowledged", n)
		}
	})
}

func TestAPanicLeavesItsStackInTheDeadLetter(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		r.publish("jobs.acme.x", "")
		r.run(config(t, func(cfg *consumer.Config) { cfg.Retry.MaxAttempts = 1 }), consumer.HandlerFunc(explode))
		time.Sleep(time.Second)
		letters := r.letters()
		if len(letters) != 1 || !strings.Contains(letters[0].Header.Get("Spillway-Stack"), "explode") {
			t.Fatalf("dead letters %+v", letters)
		}
		if got := letters[0].Header.Get("Spillway-Error"); got != "handler panicked: kaboom" {
			t.Errorf("error %q", got)
		}
	})
}

func explode(context.Context, *consumer.Message) error { panic("kaboom") }

func TestTheMarksOfAnErrorAreSeenThrough(t *testing.T) {
	for _, err := range []error{
		consumer.RetryAfter(errBoom, time.Second), consumer.Overloaded(errBoom, 0), consumer.DeadLetter(errBoom),
		fmt.Errorf("wrapped: %w", consumer.DeadLetter(errBoom)),
	} {
		if !errors.Is(err, errBoom) {
			t.Errorf("errors.Is does not see through %T", err)
		}
	}
	if consumer.RetryAfter(nil, 0) != nil || consumer.Overloaded(nil, 0) != nil || consumer.DeadLetter(nil) != nil {
		t.Error("a mark on nil is an error")
	}
}

func TestHeadersThatAServerActsOnAreCarriedEscapedAndForgedOnesStripped(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(func(_ context.Context, m *consumer.Message) error {
			if m.Attempt < 3 {
				return errBoom
			}
			return nil
		})
		headers := []string{
			"Nats-Expected-Stream", "JOBS", "Nats-Msg-Id", "user-id", "X-User", "kept",
			"Spillway-Attempt", "9", "Spillway-Origin-Subject", "forged.subject", "spillway-carried-nats-rollup", "all",
		}
		seq := r.publish("jobs.acme.x", "data", headers...)
		r.run(config(t, nil), h)
		time.Sleep(time.Minute)
		runs := h.all()
		if got, want := h.attempts(), []string{"1@0s", "2@1s", "3@3s"}; !slices.Equal(got, want) {
			t.Fatalf("attempts %v, want %v", got, want)
		}
		for _, run := range runs {
			want := nats.Header{"Nats-Expected-Stream": {"JOBS"}, "Nats-Msg-Id": {"user-id"}, "X-User": {"kept"}}
			if fmt.Sprint(run.m.Header) != fmt.Sprint(want) {
				t.Errorf("attempt %d saw the headers %v, want %v", run.m.Attempt, run.m.Header, want)
			}
			if run.m.Subject != "jobs.acme.x" || run.m.Sequence != seq || run.m.Stream != "JOBS" || string(run.m.Data) != "data" {
				t.Errorf("attempt %d saw %+v", run.m.Attempt, run.m)
			}
		}
	})
}
