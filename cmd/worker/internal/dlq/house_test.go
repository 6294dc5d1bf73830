package dlq_test

import (
	"context"
	"iter"
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/dlq"
	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/internal/envelope"
)

// house is the streams of one durable, on a server of their own.
type house struct {
	*dlq.Letters
	t      testing.TB
	server *consumertest.Server
	js     jetstream.JetStream
}

func newHouse(t testing.TB) *house {
	t.Helper()
	h := &house{t: t, server: consumertest.NewServer(t)}
	h.js = h.server.JetStream(t)
	h.stream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
	h.stream(jetstream.StreamConfig{Name: "JOBS_DEAD", Subjects: []string{"JOBS_DEAD.>"}, Discard: jetstream.DiscardNew})
	h.stream(jetstream.StreamConfig{
		Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, Duplicates: time.Minute,
	})
	h.Letters = h.of(h.js, "worker")
	return h
}

func (h *house) of(js jetstream.JetStream, durable string) *dlq.Letters {
	h.t.Helper()
	l, err := dlq.New(js, dlq.Config{Stream: "JOBS", Durable: durable})
	if err != nil {
		h.t.Fatal(err)
	}
	return l
}

// stream creates a stream, or changes it.
func (h *house) stream(cfg jetstream.StreamConfig) {
	h.t.Helper()
	if _, err := h.js.CreateOrUpdateStream(h.t.Context(), cfg); err != nil {
		h.t.Fatal(err)
	}
}

// letter is what a test says of a dead letter.
type letter struct {
	durable, tenant, reason string
	header                  nats.Header // of the user
	data                    string
	atOrigin                bool
	origin                  envelope.Origin
}

// died writes a dead letter as consumer does, and returns its sequence.
func (h *house) died(l letter) uint64 {
	h.t.Helper()
	if l.durable == "" {
		l.durable = "worker"
	}
	if l.origin.Subject == "" {
		l.origin = envelope.Origin{Subject: "jobs." + l.tenant, Stream: "JOBS", Sequence: 7, Time: time.Unix(1, 2).UTC()}
	}
	header := envelope.Carry(l.header, l.origin)
	header.Set(envelope.HeaderTenant, l.tenant)
	header.Set(envelope.HeaderReason, l.reason)
	header.Set(envelope.HeaderError, "it broke")
	header.Set(envelope.HeaderStack, `main.go:1\nmain.go:2`)
	header.Set(envelope.HeaderAttempts, "3")
	if l.atOrigin {
		header.Set(envelope.HeaderPayload, envelope.AtOrigin)
	}
	return h.publish(&nats.Msg{Subject: envelope.DeadLetterSubject("JOBS_DEAD", l.durable, l.tenant), Header: header, Data: []byte(l.data)})
}

func (h *house) publish(m *nats.Msg) uint64 {
	h.t.Helper()
	ack, err := h.js.PublishMsg(h.t.Context(), m)
	if err != nil {
		h.t.Fatal(err)
	}
	return ack.Sequence
}

// messages returns what a stream holds.
func (h *house) messages(stream string) (ms []*jetstream.RawStreamMsg) {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), stream)
	if err != nil {
		h.t.Fatal(err)
	}
	state := s.CachedInfo().State
	for seq := state.FirstSeq; seq <= state.LastSeq && state.Msgs > 0; seq++ {
		if m, err := s.GetMsg(h.t.Context(), seq); err == nil {
			ms = append(ms, m)
		}
	}
	return ms
}

// wantStored compares how many messages streams hold.
func (h *house) wantStored(want map[string]int) {
	h.t.Helper()
	for stream, n := range want {
		if got := len(h.messages(stream)); got != n {
			h.t.Errorf("stream %s holds %d messages, want %d", stream, got, n)
		}
	}
}

// replayAll replays all entries and fails the test if it cannot be begun.
func (h *house) replayAll(r dlq.Replay) []dlq.Result {
	h.t.Helper()
	return h.results(h.Replay(h.t.Context(), h.List(h.t.Context(), dlq.Filter{}), r))
}

func (h *house) results(seq iter.Seq2[dlq.Result, error]) (rs []dlq.Result) {
	h.t.Helper()
	for r, err := range seq {
		if err != nil {
			h.t.Fatal(err)
		}
		rs = append(rs, r)
	}
	return rs
}

func (h *house) list(f dlq.Filter) (es []dlq.Entry) {
	h.t.Helper()
	for e, err := range h.List(h.t.Context(), f) {
		if err != nil {
			h.t.Fatal(err)
		}
		es = append(es, e)
	}
	return es
}

func (h *house) wantListed(f dlq.Filter, want ...uint64) {
	h.t.Helper()
	var got []uint64
	for _, e := range h.list(f) {
		got = append(got, e.Sequence)
	}
	if !slices.Equal(got, want) {
		h.t.Errorf("%+v lists %d, want %d", f, got, want)
	}
}

// firstError returns the error that a sequence ends with.
func firstError[T any](seq iter.Seq2[T, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

// lossy is a JetStream whose answers to the first publications get lost, after the
// server has done what was asked.
type lossy struct {
	jetstream.JetStream
	lose int
}

func (l *lossy) PublishMsg(ctx context.Context, m *nats.Msg, opts ...jetstream.PublishOpt) (*jetstream.PubAck, error) {
	ack, err := l.JetStream.PublishMsg(ctx, m, opts...)
	if l.lose > 0 {
		l.lose--
		return nil, nats.ErrTimeout
	}
	return ack, err
}
