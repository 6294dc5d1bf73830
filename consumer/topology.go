package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/internal/envelope"
)

// What Spillway's own streams and consumers are made with.
const (
	maxAckPending      = 65536           // of the main lane: what all processes hold, and what was handed back with a delay
	maxAckPendingRetry = 1 << 20         // of the retry lane: everything in backoff
	dedupSlack         = 2 * moveTimeout // by which a copy may be published again
	apiTimeout         = 5 * time.Second
	metadataKey        = "spillway"
	metadataVersion    = "1"
)

// topology makes and checks the streams and consumers that the lanes live on.
type topology struct {
	c *Consumer
}

// streams makes sure of the three streams.
func (t topology) streams(ctx context.Context) error {
	t.c.maxPayload.Store(t.c.nc.MaxPayload())
	source, err := t.source(ctx)
	if err != nil {
		return err
	}
	info := source.CachedInfo()
	t.c.source.Store(info)
	t.c.keeper.incarnation(info.Config.Name, info.Created)
	if t.c.cfg.Deliver == jetstream.DeliverNewPolicy && info.Config.Retention == jetstream.WorkQueuePolicy {
		return fmt.Errorf("consumer: Deliver is new, must be all: stream %s has WorkQueue retention", info.Config.Name)
	}
	if err := t.overflow(ctx, info.Config); err != nil {
		return err
	}
	return t.deadLetter(ctx, info.Config)
}

// source looks the consumed stream up, and creates it if it may.
func (t topology) source(ctx context.Context) (jetstream.Stream, error) {
	cfg := t.c.cfg
	s, err := t.stream(ctx, cfg.Stream)
	switch {
	case err == nil:
		return s, nil
	case !errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("consumer: look up stream %s: %w", cfg.Stream, err)
	case cfg.Unmanaged:
		return nil, because(err, "consumer: stream %s does not exist, and Unmanaged forbids to create it", cfg.Stream)
	case len(cfg.Subjects) == 0:
		return nil, because(err, "consumer: stream %s does not exist; create it, or give Subjects to have it created", cfg.Stream)
	}
	s, err = t.createStream(ctx, jetstream.StreamConfig{
		Name:        cfg.Stream,
		Subjects:    cfg.Subjects,
		Description: "Work consumed by Spillway",
		Metadata:    t.metadata(),
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another process was faster
		s, err = t.stream(ctx, cfg.Stream)
	}
	if err != nil {
		return nil, fmt.Errorf("consumer: create stream %s with subjects %q: %w", cfg.Stream, cfg.Subjects, err)
	}
	t.c.log.Info("created the stream", "stream", cfg.Stream, "subjects", cfg.Subjects)
	return s, nil
}

// overflow makes sure of the stream of copies. It must refuse what does not fit,
// keep everything until it is acknowledged, and remember ids for long enough: with
// any other setting copies are lost without a word.
func (t topology) overflow(ctx context.Context, source jetstream.StreamConfig) error {
	name := t.c.cfg.Overflow.Stream
	want := jetstream.StreamConfig{
		Name:        name,
		Description: "Copies that Spillway keeps of messages of " + source.Name,
		Subjects:    []string{name + ".>"},
		Retention:   jetstream.WorkQueuePolicy,
		Discard:     jetstream.DiscardNew,
		MaxBytes:    t.c.cfg.Overflow.MaxBytes,
		MaxMsgSize:  -1,
		Storage:     source.Storage,
		Replicas:    source.Replicas,
		Duplicates:  t.c.cfg.AckWait + dedupSlack,
		Metadata:    t.metadata(),
	}
	got, err := t.ensure(ctx, want)
	if err != nil {
		return err
	}
	var c check
	c.that(got.Retention == jetstream.WorkQueuePolicy, "stream %s has %s retention, must have workqueue", name, got.Retention)
	c.that(got.Discard == jetstream.DiscardNew, "stream %s discards old messages when it is full, must discard new ones", name)
	c.that(got.MaxAge == 0, "stream %s has a max age of %v, must have none", name, got.MaxAge)
	c.that(got.Duplicates >= want.Duplicates, "stream %s has a duplicate window of %v, must have at least AckWait + %v = %v", name, got.Duplicates, dedupSlack, want.Duplicates)
	c.that(covers(got.Subjects, name), "stream %s has the subjects %q, must have %s.>", name, got.Subjects, name)
	return c.err()
}

// deadLetter makes sure of the stream of dead letters.
func (t topology) deadLetter(ctx context.Context, source jetstream.StreamConfig) error {
	name := t.c.cfg.DeadLetter.Stream
	got, err := t.ensure(ctx, jetstream.StreamConfig{
		Name:        name,
		Description: "Messages of " + source.Name + " that nobody could handle",
		Subjects:    []string{name + ".>"},
		Discard:     jetstream.DiscardNew,
		MaxBytes:    t.c.cfg.DeadLetter.MaxBytes,
		MaxMsgSize:  -1,
		Storage:     source.Storage,
		Replicas:    source.Replicas,
		Duplicates:  t.c.cfg.AckWait + dedupSlack,
		Metadata:    t.metadata(),
	})
	if err != nil {
		return err
	}
	var c check
	c.that(covers(got.Subjects, name), "stream %s has the subjects %q, must have %s.>", name, got.Subjects, name)
	bounded := got.MaxBytes > 0 || got.MaxMsgs > 0
	c.that(!bounded || got.Discard == jetstream.DiscardNew, "stream %s discards old dead letters when it is full, must discard new ones", name)
	return c.err()
}

// ensure returns the config of a stream of ours as it is, after creating it if it
// is missing and may be created.
func (t topology) ensure(ctx context.Context, want jetstream.StreamConfig) (jetstream.StreamConfig, error) {
	s, err := t.stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if t.c.cfg.Unmanaged {
			return want, because(err, "consumer: stream %s does not exist, and Unmanaged forbids to create it", want.Name)
		}
		s, err = t.createStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			s, err = t.stream(ctx, want.Name)
		}
	}
	if err != nil {
		return want, fmt.Errorf("consumer: stream %s, of at most %d bytes: %w", want.Name, want.MaxBytes, err)
	}
	t.c.keeper.incarnation(want.Name, s.CachedInfo().Created)
	return s.CachedInfo().Config, nil
}

// consumer makes sure of the consumer of one lane and returns what it is.
func (t topology) consumer(ctx context.Context, l *lane) (*jetstream.ConsumerInfo, error) {
	want := t.wantConsumer(l)
	existing, err := t.lookUp(ctx, l)
	switch {
	case err == nil:
		return t.adjust(ctx, l, existing.CachedInfo(), want)
	case errors.Is(err, jetstream.ErrNotPullConsumer):
		return nil, fmt.Errorf("%w: consumer %s on stream %s is push based; delete it, or choose another durable", errIncompatible, l.consumer, l.stream)
	case !errors.Is(err, jetstream.ErrConsumerNotFound):
		return nil, fmt.Errorf("consumer: look up consumer %s on stream %s: %w", l.consumer, l.stream, err)
	case t.c.cfg.Unmanaged:
		return nil, because(err, "consumer: consumer %s does not exist on stream %s, and Unmanaged forbids to create it", l.consumer, l.stream)
	}
	created, err := ask(ctx, t, func(ctx context.Context) (jetstream.Consumer, error) {
		return t.c.js.CreateConsumer(ctx, l.stream, want)
	})
	if errors.Is(err, jetstream.ErrConsumerExists) { // another process was faster
		created, err = t.lookUp(ctx, l)
	}
	if err != nil {
		return nil, fmt.Errorf("consumer: create consumer %s on stream %s: %w", l.consumer, l.stream, err)
	}
	t.c.log.Info("created the consumer", "stream", l.stream, "consumer", l.consumer, "lane", l.kind)
	return created.CachedInfo(), nil
}

// wantConsumer is the consumer of a lane as it is created.
func (t topology) wantConsumer(l *lane) jetstream.ConsumerConfig {
	cfg := t.c.cfg
	want := jetstream.ConsumerConfig{
		Durable:       l.consumer,
		Description:   "Spillway, lane " + string(l.kind),
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       cfg.AckWait,
		MaxDeliver:    -1,
		MaxAckPending: t.allowed(maxAckPending),
		Metadata:      t.metadata(),
	}
	switch l.kind {
	case LaneRetry:
		want.FilterSubject = envelope.RetrySubject(cfg.Overflow.Stream, cfg.Durable)
		want.MaxAckPending = t.allowed(maxAckPendingRetry)
	case LaneSuspect:
		want.FilterSubject = envelope.SuspectSubject(cfg.Overflow.Stream, cfg.Durable)
		want.MaxAckPending = 1
	case LaneOverflow:
		want.FilterSubject = l.flow.subject
		want.InactiveThreshold = t.c.overflowLinger()
	case LaneMain:
		t.wantMain(&want)
	}
	return want
}

func (t topology) wantMain(want *jetstream.ConsumerConfig) {
	cfg, source := t.c.cfg, t.c.source.Load().Config
	if limit := source.ConsumerLimits.MaxAckPending; limit > 0 {
		want.MaxAckPending = min(want.MaxAckPending, limit)
	}
	switch len(cfg.FilterSubjects) {
	case 0:
	case 1:
		want.FilterSubject = cfg.FilterSubjects[0]
	default:
		want.FilterSubjects = cfg.FilterSubjects
	}
	want.DeliverPolicy = cfg.Deliver
	floor, known := t.c.keeper.floor()
	if known && source.Retention != jetstream.WorkQueuePolicy { // which takes only "all", and has no more what is done
		want.DeliverPolicy, want.OptStartSeq = jetstream.DeliverByStartSequencePolicy, floor+1
	}
}

// allowed lowers a MaxAckPending to what the account may have.
func (t topology) allowed(n int) int {
	if limit := t.c.maxAckPending; limit > 0 {
		return min(n, limit)
	}
	return n
}

// limits reads what the account allows. An account that may not be asked has no
// limits that we know of.
func (t topology) limits(ctx context.Context) {
	if info, err := ask(ctx, t, t.c.js.AccountInfo); err == nil {
		t.c.maxAckPending = info.Limits.MaxAckPending
	}
}

// adjust brings an existing consumer to what it must be, or says why it cannot.
// What somebody set that does no harm stays as it is.
func (t topology) adjust(ctx context.Context, l *lane, info *jetstream.ConsumerInfo, want jetstream.ConsumerConfig) (*jetstream.ConsumerInfo, error) {
	got := info.Config
	if got.AckPolicy != jetstream.AckExplicitPolicy {
		return nil, fmt.Errorf("%w: consumer %s on stream %s has ack policy %s, must have explicit; delete it, or choose another durable", errIncompatible, l.consumer, l.stream, got.AckPolicy)
	}
	differences := differences(got, want, l.kind)
	if len(differences) == 0 {
		return info, nil
	}
	if t.c.cfg.Unmanaged {
		return nil, fmt.Errorf("consumer: consumer %s on stream %s differs, and Unmanaged forbids to change it: %s", l.consumer, l.stream, strings.Join(differences, "; "))
	}
	update := got
	update.AckWait, update.MaxDeliver, update.BackOff = want.AckWait, want.MaxDeliver, nil
	if tooFewPending(got, want, l.kind) {
		update.MaxAckPending = want.MaxAckPending
	}
	update.FilterSubject, update.FilterSubjects = want.FilterSubject, want.FilterSubjects
	update.InactiveThreshold = want.InactiveThreshold
	updated, err := ask(ctx, t, func(ctx context.Context) (jetstream.Consumer, error) {
		return t.c.js.UpdateConsumer(ctx, l.stream, update)
	})
	if err != nil {
		return nil, fmt.Errorf("consumer: change consumer %s on stream %s (%s): %w", l.consumer, l.stream, strings.Join(differences, "; "), err)
	}
	t.c.log.Warn("changed the consumer to what it must be", "stream", l.stream, "consumer", l.consumer, "differences", differences)
	return updated.CachedInfo(), nil
}

var errIncompatible = errors.New("consumer: incompatible consumer")

// differences lists what of a consumer is not as it must be.
func differences(got, want jetstream.ConsumerConfig, kind Lane) []string {
	var ds []string
	add := func(differs bool, format string, args ...any) {
		if differs {
			ds = append(ds, fmt.Sprintf(format, args...))
		}
	}
	add(got.MaxDeliver != want.MaxDeliver, "max deliver is %d, must be unlimited", got.MaxDeliver)
	add(len(got.BackOff) > 0, "backoff is %v, must be empty", got.BackOff)
	add(got.AckWait != want.AckWait, "ack wait is %v, must be %v", got.AckWait, want.AckWait)
	add(got.InactiveThreshold != want.InactiveThreshold, "inactive threshold is %v, must be %v", got.InactiveThreshold, want.InactiveThreshold)
	add(kind == LaneSuspect && got.MaxAckPending != 1, "max ack pending is %d, must be 1", got.MaxAckPending)
	add(kind != LaneSuspect && tooFewPending(got, want, kind), "max ack pending is %d, must be at least %d", got.MaxAckPending, want.MaxAckPending)
	add(!slices.Equal(filters(got), filters(want)), "filter subjects are %q, must be %q", filters(got), filters(want))
	return ds
}

// tooFewPending reports whether a consumer's MaxAckPending is not enough, or, where it
// locks, not exact.
func tooFewPending(got, want jetstream.ConsumerConfig, kind Lane) bool {
	if kind == LaneSuspect {
		return got.MaxAckPending != want.MaxAckPending
	}
	return got.MaxAckPending > 0 && got.MaxAckPending < want.MaxAckPending
}

func filters(cfg jetstream.ConsumerConfig) []string {
	if cfg.FilterSubject != "" {
		return []string{cfg.FilterSubject}
	}
	return slices.Sorted(slices.Values(cfg.FilterSubjects))
}

// overflowLinger is after how long without a request or an answer the server may forget
// the consumer of an overflow. Nobody deletes one: another process may use it.
func (c *Consumer) overflowLinger() time.Duration { return max(2*c.cfg.AckWait, time.Minute) }

// spilled is what the stream of overflow holds.
type spilled struct {
	counts   map[string]uint64 // messages that were spilled of this durable's queues, by subject
	messages uint64            // all of the stream
	bytes    int64
	limit    int64 // of bytes; 0 or less: none
}

// spilled returns what the stream of overflow holds.
func (t topology) spilled(ctx context.Context) (spilled, error) {
	cfg := t.c.cfg
	filter := envelope.SpillSubjects(cfg.Overflow.Stream, cfg.Durable)
	info, err := ask(ctx, t, func(ctx context.Context) (*jetstream.StreamInfo, error) {
		s, err := t.c.js.Stream(ctx, cfg.Overflow.Stream)
		if err != nil {
			return nil, err
		}
		return s.Info(ctx, jetstream.WithSubjectFilter(filter))
	})
	if err != nil {
		return spilled{}, fmt.Errorf("consumer: read what stream %s holds of %s: %w", cfg.Overflow.Stream, filter, err)
	}
	state := info.State
	return spilled{state.Subjects, state.Msgs, int64(state.Bytes), info.Config.MaxBytes}, nil
}

func (t topology) stream(ctx context.Context, name string) (jetstream.Stream, error) {
	return ask(ctx, t, func(ctx context.Context) (jetstream.Stream, error) { return t.c.js.Stream(ctx, name) })
}

func (t topology) createStream(ctx context.Context, cfg jetstream.StreamConfig) (jetstream.Stream, error) {
	return ask(ctx, t, func(ctx context.Context) (jetstream.Stream, error) { return t.c.js.CreateStream(ctx, cfg) })
}

func (t topology) lookUp(ctx context.Context, l *lane) (jetstream.Consumer, error) {
	return ask(ctx, t, func(ctx context.Context) (jetstream.Consumer, error) {
		return t.c.js.Consumer(ctx, l.stream, l.consumer)
	})
}

// ask makes one request of the JetStream API, in a time of its own. A server does not
// answer what it forbids: it says so to the connection, at about that time.
func ask[T any](ctx context.Context, t topology, request func(ctx context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	answer, err := request(ctx)
	if unanswered(err) {
		if last := t.c.nc.LastError(); errors.Is(last, nats.ErrPermissionViolation) {
			return answer, fmt.Errorf("%w; the server said: %w", inWords(err), last)
		}
	}
	return answer, inWords(err)
}

func (t topology) metadata() map[string]string {
	return map[string]string{metadataKey: metadataVersion}
}

// covers reports whether subjects take everything below prefix.
func covers(subjects []string, prefix string) bool {
	return slices.Contains(subjects, prefix+".>") || slices.Contains(subjects, ">")
}
