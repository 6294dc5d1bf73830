package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// JetStreamConfig says what is published, and whose acks are awaited. Stream and Subject
// are required.
type JetStreamConfig struct {
	Stream  string
	Subject string      // may hold {tenant}
	Header  nats.Header // values may hold {tenant}
	Payload []byte

	// Durable is the consumer whose ack ends a request. Without one a request is done when
	// the server has confirmed it.
	Durable string

	// Moves says what of the worker's own messages are copies of ours; nil if it makes none.
	Moves *Moves
}

// Moves follows messages that a worker copies elsewhere and then acknowledges, as it does
// to retry them later: their ack is not their end. The worker publishes copies and acks
// over one connection, as Spillway's does, so that they are heard in this order.
type Moves struct {
	// Subjects are where copies are published; wildcards may be used.
	Subjects []string
	// Streams are the streams that hold copies which will be handled. Their acks are listened
	// to.
	Streams []string
	// Origin tells from the subject and the header of a copy what it was copied from. final
	// says why nobody will handle the copy; "" if somebody will. It is called by one goroutine.
	Origin func(subject string, h nats.Header) (stream string, seq uint64, final string, ok bool)
}

// JetStream is a Target that publishes to a stream. A request is done when the durable has
// acknowledged the message to the server, which is when its handler has ended: workers
// publish their acks, and JetStream listens to them, so that nothing of the worker or of
// the durable has to be changed.
//
// What is measured includes the way of the ack to the server and from there to here, on
// this machine's clock alone. Not seen are acks in the time of a lost connection, which
// makes a run invalid; the first moves of a worker, until it is known where their
// confirmations go, which are told; and acks in another account or behind a leaf node that
// does not pass $JS.ACK.>. The user needs the permission to subscribe to that.
//
// mu guards the flights. It is not held while publishing or ending a call.
type JetStream struct {
	cfg   JetStreamConfig
	conn  *nats.Conn
	inbox string // of confirmations; ends in a dot
	ears  *ears
	done  chan struct{} // closed when nobody listens any more

	mu      sync.Mutex
	flights flights
	token   uint64
	acks    int64 // heard, of whatever message
}

// OpenJetStream checks the stream and the durable, and begins to listen. Close ends that;
// the connection stays open.
func OpenJetStream(ctx context.Context, js jetstream.JetStream, c JetStreamConfig) (*JetStream, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if err := c.lookUp(ctx, js); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	conn := js.Conn()
	t := &JetStream{
		cfg: c, conn: conn, inbox: conn.NewInbox() + ".", done: make(chan struct{}),
		flights: newFlights(), ears: newEars(conn),
	}
	if err := t.ears.listen(t.subjects()...); err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	go t.hear()
	return t, nil
}

func (c *JetStreamConfig) check() error {
	var err error
	if c.Stream == "" {
		err = errors.Join(err, errors.New("JetStreamConfig.Stream is empty: must be the name of a stream"))
	}
	if s := SubjectOf(c.Subject, "t"); s == "" || strings.ContainsAny(s, " \t\r\n*>") {
		err = errors.Join(err, fmt.Errorf("JetStreamConfig.Subject is %q: must be a subject without wildcards", c.Subject))
	}
	if c.Moves != nil && c.Moves.Origin == nil {
		err = errors.Join(err, errors.New("JetStreamConfig.Moves.Origin is nil: must be a function"))
	}
	return err
}

// lookUp finds out what would never be acknowledged.
func (c *JetStreamConfig) lookUp(ctx context.Context, js jetstream.JetStream) error {
	stream, err := js.Stream(ctx, c.Stream)
	if err != nil {
		return fmt.Errorf("stream %s: %w", c.Stream, err)
	}
	if c.Durable == "" {
		return nil
	}
	durable, err := stream.Consumer(ctx, c.Durable)
	if err != nil {
		return fmt.Errorf("durable %s of stream %s: %w", c.Durable, c.Stream, err)
	}
	if p := durable.CachedInfo().Config.AckPolicy; p != jetstream.AckExplicitPolicy {
		return fmt.Errorf("durable %s has ack policy %s, must have explicit: other acks do not say whose handler has ended", c.Durable, p)
	}
	return nil
}

// subjects returns what to listen to. Acks have two forms, which differ by two tokens.
func (t *JetStream) subjects() []string {
	subjects := []string{t.inbox + "*"}
	if t.cfg.Durable == "" {
		return subjects
	}
	acks := func(of string) { subjects = append(subjects, "$JS.ACK."+of+".>", "$JS.ACK.*.*."+of+".>") }
	acks(t.cfg.Stream + "." + t.cfg.Durable)
	if m := t.cfg.Moves; m != nil {
		for _, s := range m.Streams {
			acks(s + ".*")
		}
		subjects = append(subjects, m.Subjects...)
	}
	return subjects
}

// Start implements Target.
func (t *JetStream) Start(_ context.Context, c *Call) {
	t.mu.Lock()
	t.token++
	reply := t.inbox + strconv.FormatUint(t.token, 36)
	t.flights.publish(reply, c)
	t.mu.Unlock()
	err := t.conn.PublishMsg(&nats.Msg{
		Subject: SubjectOf(t.cfg.Subject, c.Tenant), Reply: reply,
		Header: expandHeader(t.cfg.Header, c.Tenant), Data: t.cfg.Payload,
	})
	if err != nil {
		t.mu.Lock()
		t.flights.answered(reply)
		t.mu.Unlock()
		c.Done(err)
	}
}

// SubjectOf returns the subject that a message of a tenant is published to: template, with the
// name, made fit for a subject, in place of TenantMark.
func SubjectOf(template, tenant string) string { return expand(template, tenant, token) }

// token makes one token of a subject of a tenant's name.
func token(name string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || strings.ContainsRune(".*>", r) {
			return '_'
		}
		return r
	}, name)
}

// Close ends the listening and waits for it.
func (t *JetStream) Close() {
	close(t.ears.closed)
	<-t.done
	t.ears.unsubscribe()
}

// Audit is called by a run when it has ended, and says what the target knows against its
// figures. It implements Auditor.
func (t *JetStream) Audit(r *Result) {
	t.sweep()
	t.mu.Lock()
	acks, lost := t.acks, t.flights.lost
	t.mu.Unlock()
	if n := t.ears.missed(); n > 0 {
		r.Invalidate("%d confirmations and acks were lost in this process, which could not take them as fast as they came", n)
	}
	if n := t.ears.reconnects(); n > 0 {
		r.Invalidate("the connection to NATS was lost %d times: the acks of that time were not seen", n)
	}
	if lost > 0 {
		r.warn("%d messages were moved by a worker before its moves could be followed: they count as not done in time", lost)
	}
	if t.cfg.Durable != "" && acks == 0 && r.Sent > 0 {
		r.warn("no ack of %s on %s was seen: does a worker run, and may this user subscribe to $JS.ACK.>?", t.cfg.Durable, t.cfg.Stream)
	}
}

// sweepEach is how often what timed out is forgotten.
const sweepEach = time.Second

// hear takes what the ears hear, in the order of the connection, until Close.
func (t *JetStream) hear() {
	defer close(t.done)
	ticker := time.NewTicker(sweepEach)
	defer ticker.Stop()
	for {
		select {
		case m := <-t.ears.heard:
			t.take(m, time.Now())
		case <-ticker.C:
			t.sweep()
		case <-t.ears.closed:
			return
		}
	}
}

func (t *JetStream) take(m *nats.Msg, now time.Time) {
	switch {
	case strings.HasPrefix(m.Subject, t.inbox):
		t.confirmed(m, now)
	case strings.HasPrefix(m.Subject, "$JS.ACK."):
		t.acknowledged(m, now)
	default:
		t.moved(m, now)
	}
}

func (t *JetStream) sweep() {
	t.mu.Lock()
	all := t.flights.all()
	t.mu.Unlock()
	for _, f := range all {
		if f.call.Over() { // asks the run: not under our lock
			t.mu.Lock()
			t.flights.forget(f)
			t.mu.Unlock()
		}
	}
}
