package dlq_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/cmd/worker/internal/dlq"
	"github.com/spillwaymq/spillway/consumer"
)

// A message that a consumer gave up is listed, handed to it again, and handled.
func TestWhatAConsumerGaveUpItGetsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		runs, fixed := make(chan consumer.Message, 10), make(chan struct{})
		died := make(chan struct{}, 1)
		c, err := consumer.New(h.js, consumer.Config{
			Stream: "JOBS", Durable: "worker", Tenant: consumer.SubjectToken(2),
		}, consumer.HandlerFunc(func(_ context.Context, m *consumer.Message) error {
			runs <- *m
			select {
			case <-fixed:
				return nil
			default:
				return consumer.DeadLetter(errors.New("line 1\nline 2"))
			}
		}))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Observe(consumer.Observer{DeadLettered: func(consumer.DeadLettered) { died <- struct{}{} }}); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()

		h.publish(&nats.Msg{Subject: "jobs.acme", Data: []byte("cat.png"), Header: nats.Header{"Nats-Msg-Id": {"1"}, "X": {"y"}}})
		first := <-runs
		<-died
		es := h.list(dlq.Filter{Tenant: "acme", Reason: string(consumer.ReasonPermanent)})
		if len(es) != 1 || es[0].OriginSequence != first.Sequence || !strings.Contains(es[0].Error, "line 1") || es[0].Attempts != 1 {
			t.Fatalf("listed %+v", es)
		}

		close(fixed)
		if rs := h.replayAll(dlq.Replay{}); len(rs) != 1 || !rs[0].Removed {
			t.Fatalf("replayed %+v", rs)
		}
		again := <-runs
		if again.Sequence != first.Sequence || again.Tenant != "acme" || again.Attempt != 1 || again.Header.Get("Nats-Msg-Id") != "1" || again.Header.Get("X") != "y" || string(again.Data) != "cat.png" {
			t.Errorf("handled again as %+v", again)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		h.wantStored(map[string]int{"JOBS_DEAD": 0, "JOBS_OVERFLOW": 0})
	})
}
