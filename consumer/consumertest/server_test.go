package consumertest_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// everywhere runs f in real and in virtual time.
func everywhere(t *testing.T, f func(t *testing.T)) {
	t.Run("real time", f)
	t.Run("bubble", func(t *testing.T) { synctest.Test(t, f) })
}

func TestPublishedMessagesAreStored(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		stream := s.Stream(t, "JOBS", "jobs.>")
		publish(t, s.JetStream(t), "jobs.acme", 10)
		wantMessages(t, stream, 10)
	})
}

func TestStreamMayReserveMoreThanTheDiskHas(t *testing.T) {
	js := consumertest.NewServer(t).JetStream(t)
	_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", MaxBytes: 100 << 40})
	if err != nil {
		t.Fatal(err)
	}
}

func TestRestartKeepsMessagesAndConsumers(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		stream := s.Stream(t, "JOBS", "jobs.>")
		js := s.JetStream(t)
		publish(t, js, "jobs.acme", 10)
		cons := durable(t, stream, time.Minute)
		ackOne(t, cons)
		for range 3 {
			s.Restart(t)
		}
		info, err := cons.Info(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if info.NumPending != 9 {
			t.Errorf("pending after the restart: %d, want 9", info.NumPending)
		}
		publish(t, js, "jobs.acme", 10)
		wantMessages(t, stream, 20)
	})
}

func TestAClientSurvivesAnOutage(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		stream := s.Stream(t, "JOBS", "jobs.>")
		js := s.JetStream(t)
		s.Stop(t)
		time.Sleep(300 * time.Millisecond)
		if _, err := nats.Connect("", nats.InProcessServer(s)); err == nil {
			t.Error("connected to a stopped server")
		}
		s.Start(t)
		publish(t, js, "jobs.acme", 1)
		wantMessages(t, stream, 1)
	})
}

func TestCutConnectionsComeBack(t *testing.T) {
	everywhere(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		stream := s.Stream(t, "JOBS", "jobs.>") // the first connection
		cut, back := make(chan bool, 1), make(chan bool, 1)
		nc := s.Conn(t,
			nats.DisconnectErrHandler(func(*nats.Conn, error) { cut <- true }),
			nats.ReconnectHandler(func(*nats.Conn) { back <- true }))
		if n := s.CutConnections(t); n != 2 {
			t.Errorf("cut %d connections, want 2", n)
		}
		<-cut
		<-back
		if err := nc.Flush(); err != nil {
			t.Fatal(err)
		}
		wantMessages(t, stream, 0)
	})
}

func TestAnotherProcessCanConnect(t *testing.T) {
	s := consumertest.NewServer(t, consumertest.WithListen())
	before := s.URL(t)
	s.Restart(t)
	if after := s.URL(t); after != before {
		t.Errorf("URL after a restart: %s, want %s as before", after, before)
	}
	nc, err := nats.Connect(before)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := nc.Flush(); err != nil {
		t.Fatal(err)
	}
}

func TestConfigReachesTheServer(t *testing.T) {
	s := consumertest.NewServer(t, consumertest.WithLogs(), consumertest.WithConfig(func(o *server.Options) {
		o.MaxPayload = 1234
	}))
	if got := s.Conn(t).MaxPayload(); got != 1234 {
		t.Errorf("max payload: %d, want 1234", got)
	}
}

func TestMisuseFailsTheTestWithAReason(t *testing.T) {
	for _, tt := range []struct {
		name string
		use  func(t *testing.T) (failure string)
		want string
	}{
		{"URL of a server without a port", func(t *testing.T) string {
			s := consumertest.NewServer(t)
			return failure(t, func(tb testing.TB) { s.URL(tb) })
		}, "make it with WithListen()"},
		{"stopping twice", func(t *testing.T) string {
			s := stopped(t)
			return failure(t, s.Stop)
		}, "stopped already"},
		{"starting twice", func(t *testing.T) string {
			s := consumertest.NewServer(t)
			return failure(t, s.Start)
		}, "runs already"},
		{"cutting at a stopped server", func(t *testing.T) string {
			s := stopped(t)
			return failure(t, func(tb testing.TB) { s.CutConnections(tb) })
		}, "is stopped"},
		{"connecting to a stopped server", func(t *testing.T) string {
			s := stopped(t)
			return failure(t, func(tb testing.TB) { s.Conn(tb) })
		}, "cannot connect"},
		{"a stream without a name", func(t *testing.T) string {
			s := consumertest.NewServer(t)
			return failure(t, func(tb testing.TB) { s.Stream(tb, "") })
		}, "cannot create stream"},
		{"options that are refused", func(t *testing.T) string {
			return failure(t, newServerWith(func(o *server.Options) { o.MaxPending, o.MaxPayload = 1, 2 }))
		}, "options are refused"},
		{"a store that cannot be written", func(t *testing.T) string {
			return failure(t, newServerWith(func(o *server.Options) { o.StoreDir = "/dev/null/store" }))
		}, "did not start: Can't start JetStream"},
		{"a port in a bubble", func(t *testing.T) (why string) {
			synctest.Test(t, func(t *testing.T) {
				why = failure(t, func(tb testing.TB) { consumertest.NewServer(tb, consumertest.WithListen()) })
			})
			return why
		}, "leave out WithListen()"},
		{"a bubble inside a test with a server", func(t *testing.T) (why string) {
			consumertest.NewServer(t)
			synctest.Test(t, func(t *testing.T) {
				why = failure(t, func(tb testing.TB) { consumertest.NewServer(tb) })
			})
			return why
		}, "outside of this synctest bubble"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.use(t); !strings.Contains(got, tt.want) {
				t.Errorf("failed with %q, want something with %q", got, tt.want)
			}
		})
	}
}

func TestASecondBubbleIsRefusedWhileOneHasAServer(t *testing.T) {
	started, release := make(chan bool), make(chan bool)
	t.Run("both", func(t *testing.T) {
		t.Run("first", func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				consumertest.NewServer(t)
				started <- true
				<-release
			})
		})
		t.Run("second", func(t *testing.T) {
			t.Parallel()
			<-started
			defer close(release)
			synctest.Test(t, func(t *testing.T) {
				why := failure(t, func(tb testing.TB) { consumertest.NewServer(tb) })
				if want := "neither test may call t.Parallel"; !strings.Contains(why, want) {
					t.Errorf("failed with %q, want something with %q", why, want)
				}
			})
		})
	})
}

// failure runs f with a test that it may fail, and returns the reason that it gave.
func failure(t *testing.T, f func(testing.TB)) string {
	rec := &recorder{TB: t}
	done := make(chan struct{})
	go func() {
		defer close(done)
		f(rec)
	}()
	<-done
	return rec.reason
}

// A recorder is a test that notes why it failed, and ends its goroutine as a test does.
type recorder struct {
	testing.TB
	reason string
}

func (r *recorder) Fatal(v ...any)            { r.reason = fmt.Sprint(v...); runtime.Goexit() }
func (r *recorder) Fatalf(f string, v ...any) { r.Fatal(fmt.Sprintf(f, v...)) }

func stopped(t *testing.T) *consumertest.Server {
	s := consumertest.NewServer(t)
	s.Stop(t)
	return s
}

func newServerWith(f func(*server.Options)) func(testing.TB) {
	return func(tb testing.TB) { consumertest.NewServer(tb, consumertest.WithConfig(f)) }
}

func publish(t *testing.T, js jetstream.JetStream, subject string, n int) {
	t.Helper()
	for i := range n {
		if _, err := js.Publish(t.Context(), subject, fmt.Append(nil, i)); err != nil {
			t.Fatal(err)
		}
	}
}

func durable(t *testing.T, stream jetstream.Stream, ackWait time.Duration) jetstream.Consumer {
	t.Helper()
	cons, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
		Durable:       "worker",
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait,
		MaxAckPending: 10_000,
	})
	if err != nil {
		t.Fatal(err)
	}
	return cons
}

func ackOne(t *testing.T, cons jetstream.Consumer) {
	t.Helper()
	m, err := cons.Next()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func wantMessages(t *testing.T, stream jetstream.Stream, want uint64) {
	t.Helper()
	info, err := stream.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got := info.State.Msgs; got != want {
		t.Errorf("stream %s holds %d messages, want %d", info.Config.Name, got, want)
	}
}
