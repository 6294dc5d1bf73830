package consumer_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer"
)

// Plain consumers pull anew after each reconnect and forget what they hold: with
// PullMaxMessages(100) three reconnects took the unacknowledged from 100 to 400.
func TestReconnectsWithBlockedHandlersPullNothingBeyondTheBuffer(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const buffer = 100
		r := newRig(t)
		ids := r.publishMany("m", 1000, 0)
		g := newGate(t)
		l := newLedger(g.wait)
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Buffer.Messages, cfg.Workers = buffer, 8
			cfg.Tenants.OnOverflow = consumer.OverflowHold
		}), l)
		for range 4 {
			time.Sleep(5 * time.Second)
			if n := r.ackPending("JOBS", "w"); n == 0 || n > buffer {
				t.Errorf("%d unacknowledged, want at most %d", n, buffer)
			}
			s := p.c.Snapshot()
			if n := s.Held + s.Lanes[0].Requested; n > buffer {
				t.Errorf("%d held and asked for, want at most %d", n, buffer)
			}
			r.CutConnections(t)
		}
		g.release()
		eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}

func TestReconnectsWithBlockedHandlersPullNothingBeyondTheBufferInRealTime(t *testing.T) {
	const buffer = 64
	r := newRig(t)
	ids := r.publishMany("m", 400, 0)
	g := newGate(t)
	l := newLedger(g.wait)
	p := r.process(config(t, func(cfg *consumer.Config) {
		cfg.Buffer.Messages, cfg.Workers = buffer, 4
		cfg.Tenants.OnOverflow = consumer.OverflowHold
	}), l)
	full := func() bool { return p.lane(consumer.LaneMain).Paused != "" && p.lane(consumer.LaneMain).Requested == 0 }
	for range 3 {
		eventually(t, 30*time.Second, "the buffer is full", full)
		if n := r.ackPending("JOBS", "w"); n > buffer {
			t.Errorf("%d unacknowledged, want at most %d", n, buffer)
		}
		r.CutConnections(t)
		eventually(t, 30*time.Second, "reconnected", p.nc.IsConnected)
	}
	g.release()
	eventually(t, 30*time.Second, "everything is handled", func() bool { return l.handled() == len(ids) })
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	l.wantEach(t, ids, 1, 1)
}

// Many cuts in the midst of a flow lose nothing, and what was on its way comes again
// after AckWait at the latest.
func TestAFlowThatIsCutAgainAndAgainLosesNothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ids := r.publishMany("m", 5000, 0)
		l := newLedger(func(context.Context, *consumer.Message) error {
			time.Sleep(5 * time.Millisecond)
			return nil
		})
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 4 }), l)
		for range 20 {
			time.Sleep(137 * time.Millisecond)
			r.CutConnections(t)
		}
		eventually(t, 2*time.Minute, "everything is settled", func() bool { return l.handled() == len(ids) && r.settled() })
		if err := p.c.Ready(); err != nil {
			t.Errorf("not ready after all: %v", err)
		}
		if main := p.lane(consumer.LaneMain); main.Credit+main.Requested < 3000 {
			t.Errorf("credit was lost: %+v", main)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 100)
	})
}

// Consume(500) of nats.go on this backlog makes the server cut the connection, for
// more than 64 MiB wait to be written, and strands half of it.
func TestABacklogOfLargeMessagesDoesNotOverrunTheConnection(t *testing.T) {
	r := newRig(t)
	ids := r.publishMany("m", 90, 1<<20-1024)
	l := newLedger(nil)
	p := r.process(config(t, func(cfg *consumer.Config) { cfg.Buffer.Bytes = 1 << 30 }), l)
	eventually(t, 50*time.Second, "everything is handled", func() bool { return l.handled() == len(ids) })
	if err := p.stop(); err != nil {
		t.Error(err)
	}
	if n := p.nc.Stats().Reconnects; n != 0 {
		t.Errorf("the server cut the connection %d times", n)
	}
	if n := r.ackPending("JOBS", "w"); n != 0 {
		t.Errorf("%d messages are stranded", n)
	}
	l.wantEach(t, ids, 1, 1)
}

func TestAServerRestartInABatchDelaysNothingBeyondAckWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const ackWait = 30 * time.Second
		r := newRig(t)
		ids := r.publishMany("m", 3000, 0)
		l := newLedger(func(context.Context, *consumer.Message) error {
			time.Sleep(10 * time.Millisecond)
			return nil
		})
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers = 10; cfg.AckWait = ackWait }), l)
		eventually(t, time.Minute, "it is in the midst", func() bool { return l.handled() > 1000 })
		r.Restart(t)
		restarted := time.Now()
		eventually(t, 2*time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		if took := l.lastRun().Sub(restarted); took > ackWait+5*time.Second {
			t.Errorf("the last message ran %v after the restart", took)
		}
		eventually(t, time.Minute, "all is acknowledged", func() bool { return r.ackPending("JOBS", "w") == 0 })
		if err := p.c.Ready(); err != nil {
			t.Errorf("not ready after the restart: %v", err)
		}
		fresh := r.publishMany("fresh", 1, 0)
		published := time.Now()
		eventually(t, time.Minute, "a fresh message is handled", func() bool { return l.handled() == len(ids)+1 })
		if took := time.Since(published); took > time.Second {
			t.Errorf("a message after the restart waited %v", took)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, append(ids, fresh...), 1, 2)
	})
}

// An outage of minutes: Ready says so, and all goes on at once afterwards.
func TestAfterALongOutageWorkGoesOnAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		l := newLedger(nil)
		p := r.process(config(t, nil), l)
		ids := r.publishMany("before", 10, 0)
		time.Sleep(time.Second)
		r.Stop(t)
		for range 5 {
			time.Sleep(time.Minute)
			if err := p.c.Ready(); err == nil || !strings.Contains(err.Error(), "NATS is") {
				t.Errorf("Ready is %v during an outage", err)
			}
		}
		r.Start(t)
		eventually(t, time.Second, "connected again", r.js.Conn().IsConnected)
		ids = append(ids, r.publishMany("after", 10, 0)...)
		start := time.Now()
		eventually(t, time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v to go on", took)
		}
		if err := p.c.Ready(); err != nil {
			t.Error(err)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}

// The server goes silent without closing anything, as behind a firewall that forgot
// the connection.
func TestALaneRecoversFromASilentServerAndReadySaysWhichMeanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		l := newLedger(nil)
		network := newLink(r.Server)
		p := r.process(config(t, nil), l, nats.InProcessServer(network),
			nats.PingInterval(20*time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(2*time.Second))
		ids := r.publishMany("before", 100, 0)
		time.Sleep(2 * time.Second)
		network.silence()
		time.Sleep(35 * time.Second)
		if !p.nc.IsConnected() {
			t.Fatal("the client noticed by itself: this tests nothing")
		}
		err := p.c.Ready()
		if err == nil || !strings.Contains(err.Error(), "lane main") {
			t.Errorf("Ready is %v while the server is silent", err)
		}
		if !p.wasReset(consumer.LaneMain, "no heartbeat") {
			t.Errorf("the observer was told %v", p.resets)
		}
		ids = append(ids, r.publishMany("after", 1000, 0)...)
		eventually(t, 2*time.Minute, "the client gives the connection up", func() bool { return !p.nc.IsConnected() })
		network.heal()
		eventually(t, time.Minute, "connected", p.nc.IsConnected)
		start := time.Now()
		eventually(t, 2*time.Minute, "everything is handled", func() bool { return l.handled() == len(ids) })
		if took := time.Since(start); took > 40*time.Second { // what was sent into the silence waits for AckWait
			t.Errorf("it took %v to go on", took)
		}
		eventually(t, 30*time.Second, "ready", func() bool { return p.c.Ready() == nil })
		if err := p.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
	})
}

func TestMessagesOfAKilledProcessAreTakenOverAfterAckWait(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const ackWait = 10 * time.Second
		r := newRig(t)
		g := newGate(t)
		l := newLedger(nil)
		cfg := config(t, func(cfg *consumer.Config) { cfg.AckWait = ackWait; cfg.Workers = 4; cfg.DrainTimeout = time.Second })
		// The ledger is the survivor's: what the victim's handlers do is lost with it.
		victim := r.process(cfg, consumer.HandlerFunc(g.waitOrEnd))
		ids := r.publishMany("m", 100, 0)
		time.Sleep(2 * time.Second)
		if held := victim.c.Snapshot().Held; held != len(ids) {
			t.Fatalf("the victim holds %d, want %d", held, len(ids))
		}
		survivor := r.process(cfg, l)
		time.Sleep(2 * ackWait)
		if n := l.handled(); n != 0 {
			t.Fatalf("the survivor got %d messages that the victim holds", n)
		}
		victim.nc.Close()
		killed := time.Now()
		eventually(t, time.Minute, "everything is taken over", func() bool { return l.handled() == len(ids) })
		if took := l.lastRun().Sub(killed); took > ackWait+time.Second {
			t.Errorf("the takeover took %v", took)
		}
		if err := survivor.stop(); err != nil {
			t.Error(err)
		}
		l.wantEach(t, ids, 1, 1)
		if n := r.ackPending("JOBS", "w"); n != 0 {
			t.Errorf("%d are unacknowledged", n)
		}
	})
}

func TestRunEndsWhenItsConnectionIsClosed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		p := r.process(config(t, nil), newLedger(nil))
		time.Sleep(time.Second)
		p.nc.Close()
		eventually(t, 2*time.Minute, "Run has returned", func() bool {
			select {
			case <-p.done:
				return true
			default:
				return false
			}
		})
		if p.err == nil || !strings.Contains(p.err.Error(), "connection") {
			t.Errorf("Run returned %v", p.err)
		}
	})
}
