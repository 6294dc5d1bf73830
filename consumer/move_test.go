package consumer_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

func TestMovesSurviveCutConnectionsWithNothingLostOrDoubled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		const n = 4000
		for range n {
			if _, err := r.js.PublishAsync("jobs.acme.x", nil); err != nil {
				t.Fatal(err)
			}
		}
		<-r.js.PublishAsyncComplete()
		h := record(func(_ context.Context, m *consumer.Message) error {
			time.Sleep(10 * time.Millisecond)
			if m.Attempt == 1 {
				return consumer.RetryAfter(errBoom, 5*time.Second)
			}
			return nil
		})
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.Workers = 16
			cfg.Logger = nil
			cfg.Tenants.Queue = 2048
		}), h)
		for range 20 {
			time.Sleep(100 * time.Millisecond)
			r.CutConnections(t)
		}
		time.Sleep(5 * time.Minute)
		first, second := make(map[uint64]int), make(map[uint64]int)
		for _, run := range h.all() {
			if run.m.Attempt == 1 {
				first[run.m.Sequence]++
			} else {
				second[run.m.Sequence]++
			}
		}
		if len(first) != n || len(second) != n {
			t.Errorf("%d first and %d second attempts of %d messages", len(first), len(second), n)
		}
		for seq, runs := range second {
			if runs != 1 {
				t.Errorf("the second attempt of message %d ran %d times", seq, runs)
			}
		}
		if left := r.streamMsgs("JOBS_OVERFLOW"); left != 0 {
			t.Errorf("%d copies are left", left)
		}
		if pending := r.ackPending("JOBS", "w"); pending != 0 {
			t.Errorf("%d originals are not acknowledged", pending)
		}
	})
}

func TestWhileTheOverflowStreamIsFullAFailedMessageStaysInItsStream(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		full := jetstream.StreamConfig{
			Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"}, Retention: jetstream.WorkQueuePolicy,
			Discard: jetstream.DiscardNew, MaxBytes: 1, Duplicates: time.Minute,
		}
		if _, err := r.js.CreateStream(t.Context(), full); err != nil {
			t.Fatal(err)
		}
		var mended atomic.Bool
		h := record(func(context.Context, *consumer.Message) error {
			if !mended.Load() {
				return errBoom
			}
			return nil
		})
		r.publish("jobs.acme.x", "")
		r.run(config(t, nil), h)
		time.Sleep(2 * time.Second)
		if len(h.all()) == 0 || r.ackPending("JOBS", "w") != 1 {
			t.Fatalf("%d runs, %d unacknowledged: want the original kept", len(h.all()), r.ackPending("JOBS", "w"))
		}
		mended.Store(true)
		time.Sleep(10 * time.Minute)
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("%d not acknowledged", n)
		}
	})
}

func TestAnOverflowStreamThatWouldLoseCopiesIsRefusedAtTheStart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		lossy := jetstream.StreamConfig{Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"}, Discard: jetstream.DiscardOld, MaxAge: time.Hour}
		if _, err := r.js.CreateStream(t.Context(), lossy); err != nil {
			t.Fatal(err)
		}
		c, err := consumer.New(r.js, config(t, nil), record(nil))
		if err != nil {
			t.Fatal(err)
		}
		err = c.Run(t.Context())
		for _, want := range []string{"must have workqueue", "must discard new ones", "max age of 1h0m0s, must have none"} {
			if err == nil || !contains(err.Error(), want) {
				t.Errorf("got %v, want it to say %q", err, want)
			}
		}
	})
}
