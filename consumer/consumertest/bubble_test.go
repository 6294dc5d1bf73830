package consumertest_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func TestAckWaitPassesInVirtualTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const ackWait = 30 * time.Second
		s := consumertest.NewServer(t)
		cons := durable(t, s.Stream(t, "JOBS", "jobs.>"), ackWait)
		publish(t, s.JetStream(t), "jobs.acme", 1)

		next(t, cons)
		start := time.Now()
		again := next(t, cons)
		if took := time.Since(start); took < ackWait || took > ackWait+time.Second {
			t.Errorf("redelivered after %v, want %v", took, ackWait)
		}
		if n := deliveries(t, again); n != 2 {
			t.Errorf("it is delivery %d, want 2", n)
		}
	})
}

func TestTwoVirtualMinutesOfDelayedNaksTakeNoTime(t *testing.T) {
	const (
		messages = 3000
		delay    = 2 * time.Minute
	)
	start := time.Now()
	synctest.Test(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		cons := durable(t, s.Stream(t, "JOBS", "jobs.>"), time.Minute)
		publish(t, s.JetStream(t), "jobs.acme", messages)

		iter, err := cons.Messages()
		if err != nil {
			t.Fatal(err)
		}
		defer iter.Stop()
		begin := time.Now()
		for acked := 0; acked < messages; {
			m, err := iter.Next()
			if err != nil {
				t.Fatal(err)
			}
			if deliveries(t, m) == 1 {
				err = m.NakWithDelay(delay)
			} else {
				err = m.Ack()
				acked++
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(begin); took < delay || took > delay+time.Second {
			t.Errorf("the last came after %v, want %v", took, delay)
		}
	})
	real := time.Since(start)
	t.Logf("%d delayed naks over %v took %v", messages, delay, real)
	if real > delay/4 {
		t.Errorf("virtual time did not run ahead: %v for %v", real, delay)
	}
}

// Each bubble leaves timers in the pool of nats.go that the next one must not see. The
// runtime ends the process if it does.
func TestBubblesAndRealTimeFollowEachOther(t *testing.T) {
	reconnect := func(t *testing.T) {
		s := consumertest.NewServer(t)
		nc := s.Conn(t)
		for range 20 {
			if err := nc.FlushTimeout(time.Minute); err != nil {
				t.Fatal(err)
			}
		}
		s.CutConnections(t)
		s.Restart(t)
		if err := nc.FlushTimeout(time.Minute); err != nil {
			t.Fatal(err)
		}
	}
	for range 10 {
		synctest.Test(t, reconnect)
		t.Run("real time", reconnect)
	}
}

// A server that is away must not stop the clock of those who wait for it.
func TestTimeGoesOnDuringAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		nc := s.Conn(t)
		s.Stop(t)
		if err := nc.FlushTimeout(5 * time.Minute); err == nil {
			t.Error("flushed to a stopped server")
		}
	})
}

func TestOneBubbleMayHaveManyServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for range 3 {
			consumertest.NewServer(t).Stream(t, "JOBS", "jobs.>")
		}
		time.Sleep(time.Hour)
	})
}

func next(t *testing.T, cons jetstream.Consumer) jetstream.Msg {
	t.Helper()
	m, err := cons.Next(jetstream.FetchMaxWait(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func deliveries(t *testing.T, m jetstream.Msg) uint64 {
	t.Helper()
	meta, err := m.Metadata()
	if err != nil {
		t.Fatal(err)
	}
	return meta.NumDelivered
}
