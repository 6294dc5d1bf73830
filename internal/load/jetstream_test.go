package load_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/internal/load"
)

// rig is a stream with a durable, and workers of it.
type rig struct {
	t  *testing.T
	s  *consumertest.Server
	js jetstream.JetStream
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := consumertest.NewServer(t)
	stream := s.Stream(t, "JOBS", "jobs.>")
	if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 5 * time.Second}); err != nil {
		t.Fatal(err)
	}
	return &rig{t, s, s.JetStream(t)}
}

// work handles the messages of a durable, one after another, until the test ends.
func (r *rig) work(stream, durable string, handle func(jetstream.Msg)) {
	r.t.Helper()
	r.workOn(r.s.JetStream(r.t), stream, durable, handle)
}

func (r *rig) workOn(js jetstream.JetStream, stream, durable string, handle func(jetstream.Msg)) {
	r.t.Helper()
	cons, err := js.Consumer(r.t.Context(), stream, durable)
	if err != nil {
		r.t.Fatal(err)
	}
	iter, err := cons.Messages()
	if err != nil {
		r.t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			m, err := iter.Next()
			if err != nil {
				return
			}
			handle(m)
		}
	})
	r.t.Cleanup(func() { iter.Stop(); all.Wait() })
}

func (r *rig) target(c load.JetStreamConfig) *load.JetStream {
	r.t.Helper()
	c.Stream, c.Durable = "JOBS", "worker"
	if c.Subject == "" {
		c.Subject = "jobs.{tenant}.x"
	}
	target, err := load.OpenJetStream(r.t.Context(), r.js, c)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(target.Close)
	return target
}

var oneTenant = load.Tenants{Names: []string{"acme"}}

func TestLatencyIsUntilTheHandlersEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.work("JOBS", "worker", func(m jetstream.Msg) { // 10 ms of service, at 50/s
			time.Sleep(10 * time.Millisecond)
			_ = m.Ack()
		})
		res := runner(t, load.Config{Stages: parsed(t, "50/s:4s"), Tenants: oneTenant}).Run(t.Context(), r.target(load.JetStreamConfig{}))
		balanced(t, res)
		if res.OK != 200 || !res.Valid() {
			t.Errorf("%+v, invalid: %v, failures: %v", res.Account, res.Invalid, res.Failures)
		}
		about(t, "p50 in ms", res.Latency.Quantile(0.5).Seconds()*1000, 10, 0.1)
		about(t, "max in ms", res.Latency.Max().Seconds()*1000, 10, 0.1)
	})
}

func TestAStalledWorkerIsSeenThroughTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		begin := time.Now()
		r.work("JOBS", "worker", func(m jetstream.Msg) {
			if in := time.Since(begin); in > 2*time.Second && in < 3*time.Second {
				time.Sleep(3*time.Second - in)
			}
			_ = m.Ack()
		})
		res := runner(t, load.Config{Stages: parsed(t, "500/s:6s"), Tenants: oneTenant}).Run(t.Context(), r.target(load.JetStreamConfig{}))
		balanced(t, res)
		slow := res.Latency.Above(2 * time.Millisecond)
		about(t, "slow requests", float64(slow), 500, 10)
		about(t, "their mean in ms", res.Latency.Mean().Seconds()*3000/float64(slow)*1000, 500, 20)
	})
}

func TestOtherAnswersOfAWorkerAreNoEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.work("JOBS", "worker", func(m jetstream.Msg) {
			meta, err := m.Metadata()
			switch {
			case err != nil:
			case meta.Sequence.Stream%3 == 0:
				_ = m.TermWithReason("no good")
			case meta.NumDelivered == 1:
				_ = m.InProgress()
				_ = m.NakWithDelay(time.Second)
			default:
				_ = m.Ack()
			}
		})
		res := runner(t, load.Config{Stages: parsed(t, "30/s:1s"), Tenants: oneTenant}).Run(t.Context(), r.target(load.JetStreamConfig{}))
		balanced(t, res)
		if res.OK != 20 || res.Failed != 10 || res.Failures[0].Error != "terminated by the worker" {
			t.Errorf("%+v, failures: %v", res.Account, res.Failures)
		}
		about(t, "quickest success in s", res.Success.Quantile(0).Seconds(), 1, 0.2)
	})
}

// An ack may overtake the confirmation of its message, by another way through a cluster.
func TestAnAckBeforeTheConfirmationCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		target := r.target(load.JetStreamConfig{})
		if err := r.js.Conn().Publish("$JS.ACK.JOBS.worker.1.1.1.946684800000000000.0", []byte("+ACK")); err != nil {
			t.Fatal(err)
		}
		res := runner(t, load.Config{Stages: parsed(t, "1/s:1s"), Timeout: time.Second, Tenants: oneTenant}).Run(t.Context(), target)
		balanced(t, res)
		if res.OK != 1 {
			t.Errorf("%+v, failures: %v", res.Account, res.Failures)
		}
	})
}

func TestThatNobodyWorksIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		res := runner(t, load.Config{Stages: parsed(t, "30/s:1s"), Timeout: 3 * time.Second, Tenants: oneTenant}).Run(t.Context(), r.target(load.JetStreamConfig{}))
		balanced(t, res)
		if res.Failed != 30 || res.Valid() || len(res.Warnings) != 1 || !strings.Contains(res.Warnings[0], "does a worker run") {
			t.Errorf("%+v, warnings: %q", res.Account, res.Warnings)
		}
	})
}

func TestAnOutageIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		target := r.target(load.JetStreamConfig{})
		ended := make(chan *load.Result)
		go func() {
			ended <- runner(t, load.Config{Stages: parsed(t, "100/s:4s"), Timeout: 2 * time.Second, Tenants: oneTenant}).Run(t.Context(), target)
		}()
		time.Sleep(time.Second)
		r.s.Restart(t)
		res := <-ended
		balanced(t, res)
		if res.Valid() || !strings.Contains(strings.Join(res.Invalid, "\n"), "connection to NATS was lost 1 times") {
			t.Errorf("%+v, invalid: %q", res.Account, res.Invalid)
		}
	})
}

// A worker that moves what failed once to another stream, and handles it there.
func TestWhatAWorkerMovesIsFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		if _, err := r.s.Stream(t, "ASIDE", "aside.>").CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "again", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
			t.Fatal(err)
		}
		mover := r.s.JetStream(t) // over one connection copies come before acks
		r.workOn(mover, "JOBS", "worker", func(m jetstream.Msg) {
			meta, err := m.Metadata()
			if err != nil {
				return
			}
			seq := meta.Sequence.Stream
			if seq%2 == 0 {
				_ = m.Ack()
				return
			}
			copied := nats.NewMsg("aside.retry")
			if seq%5 == 0 {
				copied.Subject = "aside.dead"
			}
			copied.Header.Set("Origin", strconv.FormatUint(seq, 10))
			if _, err := mover.PublishMsg(context.Background(), copied); err == nil {
				_ = m.Ack()
			}
		})
		r.work("ASIDE", "again", func(m jetstream.Msg) {
			if m.Subject() == "aside.retry" {
				time.Sleep(5 * time.Millisecond)
			}
			_ = m.Ack()
		})
		target := r.target(load.JetStreamConfig{Moves: &load.Moves{
			Subjects: []string{"aside.>"}, Streams: []string{"ASIDE"},
			Origin: func(subject string, h nats.Header) (string, uint64, string, bool) {
				seq, err := strconv.ParseUint(h.Get("Origin"), 10, 64)
				final := ""
				if subject == "aside.dead" {
					final = "given up"
				}
				return "JOBS", seq, final, err == nil
			},
		}})
		res := runner(t, load.Config{Stages: parsed(t, "100/s:1s"), Timeout: 3 * time.Second, Tenants: oneTenant}).Run(t.Context(), target)
		balanced(t, res)
		// Of 100 every tenth is given up, and forty are moved, of which the first may be lost: its
		// confirmation came before anybody knew where to listen.
		if res.OK < 89 || len(res.Failures) == 0 || res.Failures[0] != (load.Failure{Error: "given up", Count: 10}) {
			t.Errorf("%+v, failures: %v, warnings: %q", res.Account, res.Failures, res.Warnings)
		}
		if n := res.Success.Above(4 * time.Millisecond); n < 39 || n > 40 {
			t.Errorf("%d were slow, want the 40 that were handled elsewhere", n)
		}
	})
}

func TestWithoutADurableTheConfirmationIsTheEnd(t *testing.T) {
	r := newRig(t)
	target, err := load.OpenJetStream(t.Context(), r.js, load.JetStreamConfig{Stream: "JOBS", Subject: "jobs.x", Payload: []byte("hello")})
	if err != nil {
		t.Fatal(err)
	}
	defer target.Close()
	res := runner(t, load.Config{Stages: parsed(t, "1000/s:200ms")}).Run(t.Context(), target)
	balanced(t, res)
	if res.OK != 200 {
		t.Errorf("%+v, failures: %v", res.Account, res.Failures)
	}
	stream, err := r.js.Stream(t.Context(), "JOBS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 200 {
		t.Errorf("%d messages are stored", n)
	}
}

// Many workers with a real clock: nothing is lost or counted twice when acks and
// confirmations race.
func TestEachMessageEndsOnceInRealTime(t *testing.T) {
	r := newRig(t)
	var handled atomic.Int64
	for range 4 {
		r.work("JOBS", "worker", func(m jetstream.Msg) {
			handled.Add(1)
			_ = m.Ack()
		})
	}
	res := runner(t, load.Config{Stages: parsed(t, "4000/s:500ms"), Arrivals: load.Poisson, Tenants: load.ZipfTenants("t", 20, 1)}).
		Run(t.Context(), r.target(load.JetStreamConfig{}))
	balanced(t, res)
	if res.OK != res.Scheduled || handled.Load() != res.OK {
		t.Errorf("%+v, handled %d, failures: %v", res.Account, handled.Load(), res.Failures)
	}
}

// The copy of a message, and the ack that follows it, may overtake its confirmation too.
func TestACopyBeforeTheConfirmationCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.s.Stream(t, "ASIDE", "aside.>")
		target := r.target(load.JetStreamConfig{Moves: &load.Moves{
			Subjects: []string{"aside.>"},
			Origin: func(string, nats.Header) (string, uint64, string, bool) {
				return "JOBS", 1, "given up", true
			},
		}})
		conn := r.js.Conn()
		if err := errors.Join(conn.Publish("aside.dead", nil), conn.Publish("$JS.ACK.JOBS.worker.1.1.1.946684800000000000.0", []byte("+ACK"))); err != nil {
			t.Fatal(err)
		}
		res := runner(t, load.Config{Stages: parsed(t, "1/s:1s"), Timeout: time.Second, Tenants: oneTenant}).Run(t.Context(), target)
		balanced(t, res)
		if res.Failed != 1 || res.Failures[0].Error != "given up" {
			t.Errorf("%+v, failures: %v", res.Account, res.Failures)
		}
	})
}
