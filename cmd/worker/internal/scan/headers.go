package scan

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// Message is a message of a stream.
type Message struct {
	Subject  string
	Header   nats.Header
	Data     []byte // nil in a scan for headers
	Size     int    // of the payload
	Sequence uint64
	Time     time.Time
}

// Filter says which messages of a stream are read.
type Filter struct {
	// Subjects restricts the scan. Default: all.
	Subjects []string
	// From is the first sequence. Default: the first there is.
	From uint64
	// Since is when the first message was stored, if From is 0. Default: any time.
	Since time.Time
}

const (
	batch        = 256              // messages asked for at once
	patience     = 5 * time.Second  // for the next message of a batch, and for any other answer
	forgottenFor = 30 * time.Second // until the server removes a consumer we could not
	maxStalls    = 3                // consumers in a row that gave nothing although something was pending
)

// errStalled is that messages are pending and do not come.
var errStalled = errors.New("messages are pending, and none is delivered")

// Headers yields the messages that the stream has when it begins, in order, without
// their payloads; what is stored later is not read, so that a loop that makes such
// messages ends. It yields an error as its last, with an empty Message.
//
// The messages come through a consumer that acknowledges nothing and goes with the
// scan; a stream with WorkQueue retention takes none beside others.
func Headers(ctx context.Context, js jetstream.JetStream, stream string, f Filter) iter.Seq2[Message, error] {
	return func(yield func(Message, error) bool) {
		s := scanner{js: js, stream: stream, filter: f, yield: yield}
		if err := s.run(ctx); err != nil {
			yield(Message{}, err)
		}
	}
}

// scanner is one scan. A message that was lost on the way is noticed by a gap in the
// consumer's sequence; then a new consumer goes on where it was lost.
type scanner struct {
	js      jetstream.JetStream
	stream  string
	filter  Filter
	yield   func(Message, error) bool
	next    uint64 // where the next consumer begins; 0: as the filter says
	through uint64 // the last sequence of the scan
}

func (s *scanner) run(ctx context.Context) error {
	stream, err := Stream(ctx, s.js, s.stream)
	if err != nil {
		return err
	}
	s.next, s.through = s.filter.From, stream.CachedInfo().State.LastSeq
	for stalls := 0; stalls < maxStalls; stalls++ {
		before := s.next
		done, err := s.pass(ctx)
		if err != nil {
			return fmt.Errorf("read stream %s: %w", s.stream, err)
		}
		if done {
			return nil
		}
		if s.next != before {
			stalls = 0
		}
	}
	return fmt.Errorf("read stream %s: %w", s.stream, errStalled)
}

// pass reads with a consumer of its own, until the end or until a message is missed.
func (s *scanner) pass(ctx context.Context) (done bool, err error) {
	cons, err := s.js.CreateConsumer(ctx, s.stream, s.consumer())
	if err != nil {
		return false, err
	}
	info := cons.CachedInfo()
	defer s.remove(ctx, info.Name)
	if info.NumPending == 0 {
		return true, nil
	}
	nc := s.js.Conn()
	// A channel, because NextMsg takes a message of a stranger for "no responders".
	answers := make(chan *nats.Msg, batch+1)
	sub, err := nc.ChanSubscribe(nc.NewInbox(), answers)
	if err != nil {
		return false, err
	}
	defer func() { _ = sub.Unsubscribe() }() // fails only when it is gone with its connection
	request := envelope.APIPrefix(s.js.Options()) + "CONSUMER.MSG.NEXT." + s.stream + "." + info.Name
	for delivered := uint64(0); ; {
		if err := nc.PublishRequest(request, sub.Subject, fmt.Appendf(nil, `{"batch":%d,"no_wait":true}`, batch)); err != nil {
			return false, err
		}
		before := delivered
		done, missed, err := s.batch(ctx, sub.Subject, answers, &delivered)
		if done || missed || err != nil || delivered == before {
			return done, err
		}
	}
}

// batch reads the answers to one request. done is the end of the scan; missed that
// something was lost on the way.
func (s *scanner) batch(ctx context.Context, inbox string, answers <-chan *nats.Msg, delivered *uint64) (done, missed bool, err error) {
	timeout := time.NewTimer(patience)
	defer timeout.Stop()
	for range batch {
		var m *nats.Msg
		select {
		case m = <-answers:
		case <-timeout.C:
			return false, true, nil
		case <-ctx.Done():
			return false, false, ctx.Err()
		}
		if m == nil || m.Subject == inbox { // closed, or a status; messages keep their subject
			return false, m == nil, nil
		}
		meta, err := m.Metadata()
		if err != nil {
			return false, false, err
		}
		if meta.Sequence.Consumer != *delivered+1 {
			return false, true, nil
		}
		*delivered++
		if meta.Sequence.Stream > s.through {
			return true, false, nil
		}
		s.next = meta.Sequence.Stream + 1
		if !s.yield(message(m, meta), nil) || meta.NumPending == 0 {
			return true, false, nil
		}
		timeout.Reset(patience) // the loop may have taken its time over the message
	}
	return false, false, nil
}

func (s *scanner) consumer() jetstream.ConsumerConfig {
	cfg := jetstream.ConsumerConfig{
		Description:       "worker reads headers",
		AckPolicy:         jetstream.AckNonePolicy,
		HeadersOnly:       true,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: forgottenFor,
	}
	switch {
	case s.next > 0:
		cfg.DeliverPolicy, cfg.OptStartSeq = jetstream.DeliverByStartSequencePolicy, s.next
	case !s.filter.Since.IsZero():
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &s.filter.Since
	}
	if len(s.filter.Subjects) == 1 {
		cfg.FilterSubject = s.filter.Subjects[0]
	} else {
		cfg.FilterSubjects = s.filter.Subjects
	}
	return cfg
}

// remove takes the consumer away, also after the scan was cancelled. If that fails,
// the server does it, when nobody has used it for a while.
func (s *scanner) remove(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	_ = s.js.DeleteConsumer(ctx, s.stream, name)
}

// sizeHeader is where the server tells the size of a payload that it leaves out. It
// adds it after the message's own headers, which may have one of that name.
const sizeHeader = "Nats-Msg-Size"

func message(m *nats.Msg, meta *nats.MsgMetadata) Message {
	size := 0
	if told := m.Header.Values(sizeHeader); len(told) > 0 {
		size, _ = strconv.Atoi(told[len(told)-1])
	}
	return Message{Subject: m.Subject, Header: m.Header, Size: size, Sequence: meta.Sequence.Stream, Time: meta.Timestamp}
}

// FiltersOf returns what of its stream a consumer takes.
func FiltersOf(cfg jetstream.ConsumerConfig) []string {
	switch {
	case cfg.FilterSubject != "":
		return []string{cfg.FilterSubject}
	case len(cfg.FilterSubjects) > 0:
		return cfg.FilterSubjects
	default:
		return []string{">"}
	}
}
