package consumer_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// process is one Consumer on a connection of its own, as another process would be.
type process struct {
	t      *testing.T
	nc     *nats.Conn
	c      *consumer.Consumer
	cancel context.CancelFunc
	done   chan struct{}
	err    error // of Run, once done is closed

	mu     sync.Mutex
	resets []string // "lane: why"
}

// process starts a Consumer on a connection of its own, and stops it with the test.
func (r *rig) process(cfg consumer.Config, h consumer.Handler, opts ...nats.Option) *process {
	r.t.Helper()
	quiet := nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {}) // not to the output of the test
	return startWith(r.t, r.JetStream(r.t, append(opts, quiet)...), cfg, h)
}

func startWith(t *testing.T, js jetstream.JetStream, cfg consumer.Config, h consumer.Handler) *process {
	t.Helper()
	c, err := consumer.New(js, cfg, h)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, nc: js.Conn(), c: c, done: make(chan struct{})}
	if err := c.Observe(consumer.Observer{LaneReset: p.reset}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p.cancel = cancel
	go func() {
		defer close(p.done)
		p.err = c.Run(ctx)
	}()
	t.Cleanup(func() { _ = p.stop() })
	return p
}

func (p *process) reset(e consumer.LaneReset) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.resets = append(p.resets, fmt.Sprintf("%s: %v", e.Lane, e.Err))
}

// wasReset reports whether the lane was reset for a reason that holds text.
func (p *process) wasReset(lane consumer.Lane, text string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.ContainsFunc(p.resets, func(s string) bool {
		return strings.HasPrefix(s, string(lane)+": ") && strings.Contains(s, text)
	})
}

// stop ends the Consumer and returns what Run returned.
func (p *process) stop() error {
	p.cancel()
	<-p.done
	return p.err
}

func (p *process) lane(kind consumer.Lane) consumer.LaneState {
	for _, l := range p.c.Snapshot().Lanes {
		if l.Lane == kind {
			return l
		}
	}
	p.t.Fatalf("no lane %s", kind)
	return consumer.LaneState{}
}

// ledger is a handler that remembers what it ran, by the payload, and whether one
// message ever ran twice at once. It is shared by the processes of a test.
type ledger struct {
	mu       sync.Mutex
	runs     map[string]int
	running  map[string]int
	overlaps []string
	last     time.Time // when the last run began
	next     func(ctx context.Context, m *consumer.Message) error
}

func newLedger(next func(ctx context.Context, m *consumer.Message) error) *ledger {
	return &ledger{runs: make(map[string]int), running: make(map[string]int), next: next}
}

func (l *ledger) Handle(ctx context.Context, m *consumer.Message) error {
	id, _, _ := strings.Cut(string(m.Data), " ")
	l.mu.Lock()
	l.runs[id]++
	l.running[id]++
	l.last = time.Now()
	if l.running[id] > 1 {
		l.overlaps = append(l.overlaps, id)
	}
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.running[id]--
	}()
	if l.next == nil {
		return nil
	}
	return l.next(ctx, m)
}

func (l *ledger) handled() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.runs)
}

// total is how often anything was run.
func (l *ledger) total() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, runs := range l.runs {
		n += runs
	}
	return n
}

func (l *ledger) lastRun() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// wantEach checks that each of the messages ran from least to most times.
func (l *ledger) wantEach(t *testing.T, ids []string, least, most int) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var bad []string
	for _, id := range ids {
		if n := l.runs[id]; n < least || n > most {
			bad = append(bad, fmt.Sprintf("%s ran %d times", id, n))
		}
	}
	if len(bad) > 0 {
		t.Errorf("%d of %d messages did not run %d to %d times: %s", len(bad), len(ids), least, most, strings.Join(bad[:min(5, len(bad))], ", "))
	}
	if len(l.overlaps) > 0 {
		t.Errorf("messages ran twice at once: %v", l.overlaps[:min(5, len(l.overlaps))])
	}
	if len(l.runs) > len(ids) {
		t.Errorf("%d messages ran, want only those %d", len(l.runs), len(ids))
	}
}

// gate blocks handlers until it is opened.
type gate struct {
	once sync.Once
	open chan struct{}
}

func newGate(t *testing.T) *gate {
	g := &gate{open: make(chan struct{})}
	t.Cleanup(g.release)
	return g
}

func (g *gate) release() { g.once.Do(func() { close(g.open) }) }

// wait is a handler: it ignores its context, as bad handlers do.
func (g *gate) wait(context.Context, *consumer.Message) error {
	<-g.open
	return nil
}

// waitOrEnd is a handler that ends with its context.
func (g *gate) waitOrEnd(ctx context.Context, _ *consumer.Message) error {
	select {
	case <-g.open:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// publishMany publishes n messages of prefix-0, prefix-1, …, padded to size bytes,
// for ten tenants in turn, and returns their ids.
func (r *rig) publishMany(prefix string, n, size int) []string {
	r.t.Helper()
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprintf("%s-%d", prefix, i)
		data := ids[i]
		if pad := size - len(data) - 1; pad > 0 {
			data += " " + strings.Repeat("x", pad)
		}
		if _, err := r.js.Publish(r.t.Context(), fmt.Sprintf("jobs.t%d.x", i%10), []byte(data)); err != nil {
			r.t.Fatal(err)
		}
	}
	return ids
}

// settled reports whether the durable of the main lane is there and has nothing to do.
func (r *rig) settled() bool {
	r.t.Helper()
	c, err := r.js.Consumer(r.t.Context(), "JOBS", "w")
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		return false
	}
	if err != nil {
		r.t.Fatal(err)
	}
	i := c.CachedInfo()
	return i.NumPending == 0 && i.NumAckPending == 0
}

// eventually waits until ok, for at most within; in a bubble that is virtual time.
func eventually(t *testing.T, within time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(within); !ok(); time.Sleep(within / 1000) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// link leads to a server through a network that can fail. It is the
// nats.InProcessServer of a connection.
type link struct {
	s *consumertest.Server

	mu     sync.Mutex
	down   bool // nobody can connect
	silent bool // bytes are taken, and go nowhere
	conns  map[*linkConn]struct{}
}

type linkConn struct {
	net.Conn
	l *link
}

func newLink(s *consumertest.Server) *link { return &link{s: s, conns: make(map[*linkConn]struct{})} }

// InProcessConn makes link a nats.InProcessConnProvider.
func (l *link) InProcessConn() (net.Conn, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down || l.silent { // a client that waits for an answer holds its lock, and that stops the clock
		return nil, errors.New("the network is down")
	}
	inner, err := l.s.InProcessConn()
	if err != nil {
		return nil, err
	}
	c := &linkConn{Conn: inner, l: l}
	l.conns[c] = struct{}{}
	return c, nil
}

// cut closes what is open, and refuses what is opened until heal.
func (l *link) cut() {
	l.mu.Lock()
	l.down = true
	conns := slices.Collect(maps.Keys(l.conns))
	l.mu.Unlock()
	for _, c := range conns {
		_ = c.Close()
	}
}

// silence drops all bytes either way until heal, and closes nothing.
func (l *link) silence() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.silent = true
}

func (l *link) heal() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down, l.silent = false, false
}

func (l *link) isSilent() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.silent
}

func (c *linkConn) Read(p []byte) (int, error) {
	for {
		n, err := c.Conn.Read(p)
		if err != nil || !c.l.isSilent() {
			return n, err
		}
	}
}

func (c *linkConn) Write(p []byte) (int, error) {
	if c.l.isSilent() {
		return len(p), nil
	}
	return c.Conn.Write(p)
}

func (c *linkConn) Close() error {
	c.l.mu.Lock()
	delete(c.l.conns, c)
	c.l.mu.Unlock()
	return c.Conn.Close()
}

// consumerJSON is cfg as the API takes it.
func consumerJSON(t *testing.T, cfg jetstream.ConsumerConfig) []byte {
	t.Helper()
	b, err := json.Marshal(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
