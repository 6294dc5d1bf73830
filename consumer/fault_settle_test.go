package consumer_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// Without a leader a consumer is as one that is gone: nobody answers, and what is
// acknowledged meanwhile must not run again.
func TestWhatIsAckedWhileTheConsumerHasNoLeaderRunsOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		pulls := make(chan string, 100) // where the pulls of the main lane want their answers
		spy := r.Conn(t)
		if _, err := spy.Subscribe("$JS.API.CONSUMER.MSG.NEXT.JOBS.w", func(m *nats.Msg) { pulls <- m.Reply }); err != nil {
			t.Fatal(err)
		}
		if err := spy.Flush(); err != nil {
			t.Fatal(err)
		}
		g := newGate(t)
		l := newLedger(g.waitOrEnd)
		p := r.process(config(t, nil), l)
		ids := r.publishMany("m", 9, 0)
		eventually(t, time.Second, "all run", func() bool { return l.handled() == len(ids) })
		synctest.Wait()
		for len(pulls) > 0 {
			if err := spy.PublishMsg(&nats.Msg{Subject: <-pulls, Header: nats.Header{"Status": {"503"}}}); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait()
		g.release()
		synctest.Wait()
		if n, held := r.ackPending("JOBS", "w"), p.c.Snapshot().Held; n != len(ids) || held != len(ids) {
			t.Errorf("before the keeper has looked %d of %d are unacknowledged, and %d held", n, len(ids), held)
		}
		time.Sleep(time.Second)
		if n, held := r.ackPending("JOBS", "w"), p.c.Snapshot().Held; n != 0 || held != 0 {
			t.Errorf("after that %d are unacknowledged, and %d held", n, held)
		}
		time.Sleep(time.Minute) // AckWait and more
		if !p.wasReset(consumer.LaneMain, "503") {
			t.Errorf("the lane was not told: %v", p.resets)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}

// A nak that waits in the client for the reconnect would be sent when the server may have
// delivered the message to somebody else, and give it out a third time.
func TestANakIsWithheldWhileDisconnected(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const ackWait = 10 * time.Second
		s := consumertest.NewServer(t, consumertest.WithConfig(func(o *server.Options) { o.MaxPayload = 64 << 10 }))
		r := &rig{Server: s, t: t, js: s.JetStream(t)}
		s.Stream(t, "JOBS", "jobs.>")
		var naks atomic.Int64
		if _, err := r.Conn(t).Subscribe("$JS.ACK.JOBS.>", func(m *nats.Msg) {
			if strings.HasPrefix(string(m.Data), "-NAK") {
				naks.Add(1)
			}
		}); err != nil {
			t.Fatal(err)
		}
		r.publish("jobs.acme.x", strings.Repeat("x", 64<<10)) // too large for a copy: it is retried by a nak
		cut := newGate(t)
		h := record(func(ctx context.Context, m *consumer.Message) error {
			if m.Deliveries == 1 {
				_ = cut.wait(ctx, m)
				return errors.New("once more")
			}
			return nil
		})
		network := newLink(r.Server)
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.AckWait = ackWait }), h,
			nats.InProcessServer(network), nats.ReconnectWait(100*time.Millisecond), nats.MaxReconnects(-1))
		eventually(t, time.Second, "it runs", func() bool { return len(h.all()) == 1 })
		network.cut()
		eventually(t, time.Second, "the client knows", func() bool { return !p.nc.IsConnected() })
		cut.release()
		eventually(t, time.Second, "it is settled", func() bool { return p.c.Snapshot().Held == 0 })
		network.heal()
		time.Sleep(time.Minute)
		runs := h.all()
		if len(runs) != 2 || naks.Load() != 0 {
			t.Fatalf("%d runs and %d naks, want a second run without one", len(runs), naks.Load())
		}
		if after := runs[1].at.Sub(runs[0].at); after < ackWait {
			t.Errorf("it ran again after %v, before AckWait was over", after)
		}
		if runs[1].m.Attempt != 2 || r.ackPending("JOBS", "w") != 0 {
			t.Errorf("attempt %d, %d unacknowledged", runs[1].m.Attempt, r.ackPending("JOBS", "w"))
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
}
