package consumer_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/internal/envelope"
)

// published publishes a message and returns it as it is stored.
func (r *rig) published(subject, data string) *jetstream.RawStreamMsg {
	r.t.Helper()
	seq := r.publish(subject, data)
	s := must[jetstream.Stream](r.t)(r.js.Stream(r.t.Context(), "JOBS"))
	return must[*jetstream.RawStreamMsg](r.t)(s.GetMsg(r.t.Context(), seq))
}

// copied puts a copy into the retry lane, as a move does whose ack the server never has.
func (r *rig) copied(m *jetstream.RawStreamMsg) {
	r.t.Helper()
	header := envelope.Carry(nil, envelope.Origin{Subject: m.Subject, Stream: "JOBS", Sequence: m.Sequence, Time: m.Time})
	envelope.SetAttempt(header, 2, time.Time{})
	copied := &nats.Msg{Subject: "JOBS_OVERFLOW.w.retry", Header: header, Data: m.Data}
	if _, err := r.js.PublishMsg(r.t.Context(), copied); err != nil {
		r.t.Fatal(err)
	}
}

func TestACopyDoesNotRunBesideItsOriginal(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		l := newLedger(g.wait)
		p := r.process(config(t, nil), l)
		awaitRunning(t, p)
		r.copied(r.published("jobs.acme.x", "m"))
		time.Sleep(10 * time.Minute)
		if n := l.total(); n != 1 {
			t.Errorf("%d runs, want the original's alone", n)
		}
		if s := p.c.Tenant("acme"); s.Queued != 1 || s.InFlight != 1 {
			t.Errorf("%d wait and %d run, want the copy to wait", s.Queued, s.InFlight)
		}
		g.release()
		eventually(t, 10*time.Second, "both are settled", r.nothingLeft)
		l.wantEach(t, []string{"m"}, 2, 2)
	})
}

func TestTwoCopiesOfOneMessageDoNotRunAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		l := newLedger(func(ctx context.Context, m *consumer.Message) error {
			if m.Attempt == 1 {
				return nil // the original is done with
			}
			return g.wait(ctx, m)
		})
		p := r.process(config(t, nil), l)
		awaitRunning(t, p)
		m := r.published("jobs.acme.x", "m")
		eventually(t, 10*time.Second, "the original is settled", r.settled)
		r.copied(m)
		r.copied(m)
		time.Sleep(10 * time.Minute)
		if n := l.total(); n != 2 {
			t.Errorf("%d runs, want the original's and one copy's", n)
		}
		g.release()
		eventually(t, 10*time.Second, "both are settled", r.nothingLeft)
		l.wantEach(t, []string{"m"}, 3, 3)
	})
}

// The copy is stored: had the ack of the move arrived, nobody would see the original.
func TestAnOriginalWhoseCopyIsHeldIsAcknowledgedAndNotRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		l := newLedger(g.wait)
		first := r.process(config(t, nil), l)
		awaitRunning(t, first)
		if err := first.stop(); err != nil { // it made the streams and the durable
			t.Fatal(err)
		}
		m := r.published("jobs.acme.x", "m")
		w := must[jetstream.Consumer](t)(r.js.Consumer(t.Context(), "JOBS", "w"))
		elsewhere := must[jetstream.Msg](t)(w.Next())
		p := r.process(config(t, nil), l)
		awaitRunning(t, p)
		r.copied(m)
		time.Sleep(time.Second)
		if n := l.total(); n != 1 {
			t.Fatalf("%d runs, want the copy's", n)
		}
		if err := elsewhere.Nak(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("the original is not acknowledged")
		}
		g.release()
		eventually(t, 10*time.Second, "the copy is settled", r.nothingLeft)
		l.wantEach(t, []string{"m"}, 1, 1)
	})
}

func TestACopyOfAnotherMessageOfThatSequenceRunsBesideIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, g := newRig(t), newGate(t)
		l := newLedger(g.wait)
		p := r.process(config(t, nil), l)
		awaitRunning(t, p)
		m := r.published("jobs.acme.x", "m")
		m.Time, m.Data = m.Time.Add(-time.Hour), []byte("of a stream that was deleted")
		r.copied(m)
		eventually(t, 10*time.Second, "both run", func() bool { return l.total() == 2 })
		g.release()
		eventually(t, 10*time.Second, "both are settled", r.nothingLeft)
	})
}
