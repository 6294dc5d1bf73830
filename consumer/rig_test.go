package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// rig is a server with the stream JOBS, and a Consumer of it that runs until the
// test ends.
type rig struct {
	*consumertest.Server
	t      *testing.T
	js     jetstream.JetStream
	c      *consumer.Consumer
	cancel context.CancelFunc
	done   chan error
}

// inBubble runs f in virtual time.
func inBubble(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, f)
}

// newRig starts a server, without a Consumer.
func newRig(t *testing.T, opts ...consumertest.Option) *rig {
	t.Helper()
	s := consumertest.NewServer(t, opts...)
	r := &rig{Server: s, t: t, js: s.JetStream(t)}
	s.Stream(t, "JOBS", "jobs.>")
	return r
}

// config is a Config for the stream JOBS, changed by f.
func config(t *testing.T, f func(cfg *consumer.Config)) consumer.Config {
	cfg := consumer.Config{
		Stream: "JOBS", Durable: "w", Tenant: consumer.SubjectToken(2),
		Retry:  consumer.Retry{Jitter: -1},
		Logger: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn})),
	}
	if f != nil {
		f(&cfg)
	}
	return cfg
}

// run starts a Consumer.
func (r *rig) run(cfg consumer.Config, h consumer.Handler) {
	r.t.Helper()
	c, err := consumer.New(r.js, cfg, h)
	if err != nil {
		r.t.Fatal(err)
	}
	r.start(c)
}

// stop ends the Consumer and returns what Run returned.
func (r *rig) stop() error {
	r.cancel()
	return <-r.done
}

// publish publishes a message with headers given as key, value, …
func (r *rig) publish(subject, data string, header ...string) uint64 {
	r.t.Helper()
	msg := nats.NewMsg(subject)
	msg.Data = []byte(data)
	for i := 0; i+1 < len(header); i += 2 {
		msg.Header.Set(header[i], header[i+1])
	}
	ack, err := r.js.PublishMsg(r.t.Context(), msg)
	if err != nil {
		r.t.Fatal(err)
	}
	return ack.Sequence
}

// streamMsgs returns how many messages a stream holds.
func (r *rig) streamMsgs(name string) uint64 {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), name)
	if err != nil {
		r.t.Fatal(err)
	}
	return s.CachedInfo().State.Msgs
}

// letters returns the dead letters, oldest first.
func (r *rig) letters() []*jetstream.RawStreamMsg {
	r.t.Helper()
	s, err := r.js.Stream(r.t.Context(), "JOBS_DEAD")
	if err != nil {
		r.t.Fatal(err)
	}
	var letters []*jetstream.RawStreamMsg
	for seq := max(s.CachedInfo().State.FirstSeq, 1); seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(r.t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			r.t.Fatal(err)
		}
		letters = append(letters, m)
	}
	return letters
}

// ackPending returns what the server has delivered to a lane and not seen settled.
func (r *rig) ackPending(stream, durable string) int {
	r.t.Helper()
	info := r.info(stream, durable)
	return info.NumAckPending
}

func (r *rig) info(stream, durable string) *jetstream.ConsumerInfo {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), stream, durable)
	if err != nil {
		r.t.Fatal(err)
	}
	return c.CachedInfo()
}

// settledAs returns how many deliveries of all downstreams were settled as o.
func (r *rig) settledAs(o consumer.Outcome) (n uint64) {
	for _, d := range r.c.Snapshot().Downstreams {
		n += d.Settled[o]
	}
	return n
}

// recorder is a handler that remembers what it was given.
type recorder struct {
	mu   sync.Mutex
	runs []run
	next func(ctx context.Context, m *consumer.Message) error
}

type run struct {
	at time.Time
	m  consumer.Message
}

func record(next func(ctx context.Context, m *consumer.Message) error) *recorder {
	return &recorder{next: next}
}

func (h *recorder) Handle(ctx context.Context, m *consumer.Message) error {
	h.mu.Lock()
	h.runs = append(h.runs, run{time.Now(), *m})
	h.mu.Unlock()
	if h.next == nil {
		return nil
	}
	return h.next(ctx, m)
}

func (h *recorder) all() []run {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]run(nil), h.runs...)
}

// bySequence returns how often each message ran.
func (h *recorder) bySequence() map[uint64]int {
	n := make(map[uint64]int)
	for _, r := range h.all() {
		n[r.m.Sequence]++
	}
	return n
}

// attempts lists "attempt@seconds since the first run".
func (h *recorder) attempts() []string {
	var out []string
	runs := h.all()
	for _, r := range runs {
		out = append(out, fmt.Sprintf("%d@%.0fs", r.m.Attempt, r.at.Sub(runs[0].at).Seconds()))
	}
	return out
}

// observe starts a Consumer that o watches.
func (r *rig) observe(cfg consumer.Config, h consumer.Handler, o consumer.Observer) {
	r.t.Helper()
	c, err := consumer.New(r.js, cfg, h)
	if err != nil {
		r.t.Fatal(err)
	}
	if err := c.Observe(o); err != nil {
		r.t.Fatal(err)
	}
	r.start(c)
}

// start runs c until the test ends.
func (r *rig) start(c *consumer.Consumer) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(r.t.Context()))
	r.c, r.cancel, r.done = c, cancel, make(chan error, 1)
	done := r.done
	go func() { done <- c.Run(ctx); close(done) }()
	r.t.Cleanup(func() { cancel(); <-done })
}

// goexit ends the calling goroutine, as t.FailNow does.
func goexit() { runtime.Goexit() }

// offline is a JetStream context for what needs no server.
func offline(t *testing.T) jetstream.JetStream {
	t.Helper()
	js, err := jetstream.New(new(nats.Conn))
	if err != nil {
		t.Fatal(err)
	}
	return js
}

func must[T any](t *testing.T) func(v T, err error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func (r *rig) deleteConsumer(stream, name string) {
	r.t.Helper()
	if err := r.js.DeleteConsumer(r.t.Context(), stream, name); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) deleteStream(name string) {
	r.t.Helper()
	if err := r.js.DeleteStream(r.t.Context(), name); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) createStream(cfg jetstream.StreamConfig) {
	r.t.Helper()
	if _, err := r.js.CreateStream(r.t.Context(), cfg); err != nil {
		r.t.Fatal(err)
	}
}

// byHand is a durable that a careful human makes for an Unmanaged Consumer.
func byHand() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: "w", AckPolicy: jetstream.AckExplicitPolicy, AckWait: 30 * time.Second, MaxDeliver: -1, MaxAckPending: 65536,
	}
}

// runOnce runs a Consumer that cannot start, and returns why.
func (r *rig) runOnce(cfg consumer.Config, opts ...nats.Option) error {
	r.t.Helper()
	p := r.process(cfg, newLedger(nil), opts...)
	eventually(r.t, 2*time.Minute, "Run has returned", func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	})
	if n := p.nc.NumSubscriptions(); n > 1 { // one is that of the client's own requests
		r.t.Errorf("%d subscriptions are left", n)
	}
	return p.err
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("the error is %v, want it to name %q", err, part)
		}
	}
}
