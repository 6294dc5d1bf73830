package dlq_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/dlq"
	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/internal/envelope"
)

func TestAReplayHandsTheMessageToTheDurableAlone(t *testing.T) {
	h := newHouse(t)
	user := nats.Header{"X": {"1"}, "Nats-Msg-Id": {"mine"}, "Nats-Rollup": {"all"}}
	seq := h.died(letter{tenant: "acme", header: user, data: "cat.png"})
	rs := h.replayAll(dlq.Replay{})
	if len(rs) != 1 || rs[0].Err != nil || !rs[0].Removed || rs[0].Copy != 1 || rs[0].Entry.Sequence != seq {
		t.Fatalf("replayed %+v", rs)
	}
	h.wantStored(map[string]int{"JOBS_DEAD": 0, "JOBS": 0, "JOBS_OVERFLOW": 1})
	m := h.messages("JOBS_OVERFLOW")[0]
	if m.Subject != "JOBS_OVERFLOW.worker.retry" || string(m.Data) != "cat.png" {
		t.Errorf("the copy is %q on %s", m.Data, m.Subject)
	}
	restored, origin, ok := envelope.Restore(m.Header)
	if !ok || !maps.EqualFunc(restored, user, slices.Equal) || origin.Subject != "jobs.acme" || origin.Sequence != 7 {
		t.Errorf("the copy restores to %v of %+v", restored, origin)
	}
	if envelope.Attempt(m.Header) != 1 || !envelope.NotBefore(m.Header).IsZero() || m.Header.Get(envelope.HeaderReason) != "" {
		t.Errorf("the copy has the headers %v", m.Header)
	}
	if id := m.Header.Get(jetstream.MsgIDHeader); id == "" || id == "mine" {
		t.Errorf("the copy has the id %q", id)
	}
}

func TestAReplayToASubjectPublishesTheOriginal(t *testing.T) {
	h := newHouse(t)
	h.publish(&nats.Msg{Subject: "jobs.keep", Header: nats.Header{"Nats-Msg-Id": {"mine"}}})
	h.died(letter{tenant: "acme", data: "cat.png", header: nats.Header{
		"X": {"1", "2"}, "traceparent": {"00-1"},
		"Nats-Msg-Id": {"mine"}, "Nats-Rollup": {"all"}, "Nats-TTL": {"1s"}, "Nats-Expected-Stream": {"ELSE"},
		"Nats-Expected-Last-Sequence": {"99"}, "Nats-Trace-Only": {"true"}, "Nats-Trace-Dest": {"spy"},
		"Nats-Schedule": {"@every 1s"}, "Nats-Batch-Id": {"b"}, "nats-lower": {"x"},
	}})
	rs := h.replayAll(dlq.Replay{ToSubject: "jobs.acme.again"})
	if len(rs) != 1 || rs[0].Err != nil || !rs[0].Removed || rs[0].Stream != "JOBS" || rs[0].Copy != 2 {
		t.Fatalf("replayed %+v", rs)
	}
	h.wantStored(map[string]int{"JOBS_DEAD": 0, "JOBS": 2, "JOBS_OVERFLOW": 0})
	m := h.messages("JOBS")[1]
	id := m.Header.Get(jetstream.MsgIDHeader)
	want := nats.Header{"X": {"1", "2"}, "traceparent": {"00-1"}, "Nats-Msg-Id": {id}}
	if m.Subject != "jobs.acme.again" || string(m.Data) != "cat.png" || id == "mine" || !maps.EqualFunc(m.Header, want, slices.Equal) {
		t.Errorf("published %q on %s with %v, want the headers %v", m.Data, m.Subject, m.Header, want)
	}
}

func TestADryRunChangesNothing(t *testing.T) {
	h := newHouse(t)
	h.died(letter{tenant: "acme"})
	h.publish(&nats.Msg{Subject: "JOBS_DEAD.worker.acme"})
	rs := h.replayAll(dlq.Replay{DryRun: true})
	if len(rs) != 2 || rs[0].Err != nil || rs[0].Removed || rs[0].Subject != "JOBS_OVERFLOW.worker.retry" || rs[1].Err == nil {
		t.Errorf("tried %+v", rs)
	}
	for _, r := range h.results(h.Discard(t.Context(), h.List(t.Context(), dlq.Filter{}), true)) {
		if r.Removed || r.Err != nil {
			t.Errorf("tried %+v", r)
		}
	}
	h.wantStored(map[string]int{"JOBS_DEAD": 2, "JOBS": 0, "JOBS_OVERFLOW": 0})
}

func TestAReplayOfManyTakesEachOnce(t *testing.T) {
	h := newHouse(t)
	for i := range 600 {
		h.died(letter{tenant: fmt.Sprint(i % 5), data: fmt.Sprint(i)})
	}
	if rs := h.replayAll(dlq.Replay{}); len(rs) != 600 {
		t.Errorf("replayed %d of 600", len(rs))
	}
	h.wantStored(map[string]int{"JOBS_DEAD": 0})
	for i, m := range h.messages("JOBS_OVERFLOW") {
		if string(m.Data) != fmt.Sprint(i) {
			t.Fatalf("copy %d is of %s", i, m.Data)
		}
	}
}

func TestAMessageThatDiesAgainDuringTheReplayIsNotReplayedAgain(t *testing.T) {
	h := newHouse(t)
	for range 3 {
		h.died(letter{tenant: "acme"})
	}
	n := 0
	for _, err := range h.Replay(t.Context(), h.List(t.Context(), dlq.Filter{}), dlq.Replay{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
		h.died(letter{tenant: "acme"})
	}
	if n != 3 {
		t.Errorf("replayed %d, want 3", n)
	}
	h.wantStored(map[string]int{"JOBS_DEAD": 3, "JOBS_OVERFLOW": 3})
}

func TestAFullOverflowStreamLeavesTheEntries(t *testing.T) {
	h := newHouse(t)
	for range 3 {
		h.died(letter{tenant: "acme"})
	}
	h.stream(jetstream.StreamConfig{
		Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"},
		Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew, MaxMsgs: 1,
	})
	rs := h.replayAll(dlq.Replay{})
	if len(rs) != 3 || !rs[0].Removed || rs[1].Removed || rs[1].Err == nil || rs[2].Err == nil {
		t.Errorf("replayed %+v", rs)
	}
	h.wantStored(map[string]int{"JOBS_DEAD": 2, "JOBS_OVERFLOW": 1})
}

func TestAReplayIsRefusedWhereCopiesOrEntriesWouldNotBeSafe(t *testing.T) {
	over := jetstream.StreamConfig{Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew}
	dead := jetstream.StreamConfig{Name: "JOBS_DEAD", Subjects: []string{"JOBS_DEAD.>"}, Discard: jetstream.DiscardNew}
	for _, tt := range []struct {
		name  string
		given func(h *house)
		to    string
		want  string
	}{
		{"overflow that discards old", func(h *house) { o := over; o.Discard = jetstream.DiscardOld; h.stream(o) }, "", "must discard new"},
		{"no overflow", func(h *house) { h.remove("JOBS_OVERFLOW") }, "", "stream JOBS_OVERFLOW"},
		{"overflow of interest", func(h *house) {
			h.remove("JOBS_OVERFLOW")
			o := over
			o.Retention = jetstream.InterestPolicy
			h.stream(o)
		}, "", "must have workqueue"},
		{"dead letters that cannot be removed", func(h *house) { d := dead; d.DenyDelete = true; h.remove(d.Name); h.stream(d) }, "", "denies the removal"},
		{"a subject of nobody", nil, "nobody.there", "no stream takes"},
		{"a wildcard", nil, "jobs.*", "without wildcards"},
		{"an empty token", nil, "jobs..x", "must be one subject"},
		{"the dead letters", nil, "JOBS_DEAD.worker.acme", "Spillway's own"},
		{"the overflow", nil, "JOBS_OVERFLOW.x", "Spillway's own"},
		{"interest without a consumer", func(h *house) {
			h.stream(jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}, Retention: jetstream.InterestPolicy})
			h.consumer("EVENTS", "events.other.>")
		}, "events.a", "it would drop the messages"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHouse(t)
			if tt.given != nil {
				tt.given(h)
			}
			seq := h.Replay(t.Context(), h.List(t.Context(), dlq.Filter{}), dlq.Replay{ToSubject: tt.to, DryRun: true})
			if err := firstError(seq); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want something with %q", err, tt.want)
			}
		})
	}
}

func TestAnInterestStreamWithAConsumerGetsItsReplay(t *testing.T) {
	for _, filter := range []string{"", "events.>", "events.*.b", "events.a.b"} {
		h := newHouse(t)
		h.stream(jetstream.StreamConfig{Name: "EVENTS", Subjects: []string{"events.>"}, Retention: jetstream.InterestPolicy})
		h.consumer("EVENTS", filter)
		h.died(letter{tenant: "acme"})
		if rs := h.replayAll(dlq.Replay{ToSubject: "events.a.b"}); len(rs) != 1 || !rs[0].Removed {
			t.Errorf("filter %q: replayed %+v", filter, rs)
		}
		h.wantStored(map[string]int{"EVENTS": 1})
	}
}

func TestAPayloadAtItsOriginIsReplayed(t *testing.T) {
	h := newHouse(t)
	h.died(letter{tenant: "acme", atOrigin: true, origin: h.job("jobs.acme", "big")})
	if rs := h.replayAll(dlq.Replay{}); len(rs) != 1 || !rs[0].Removed {
		t.Fatalf("replayed %+v", rs)
	}
	m := h.messages("JOBS_OVERFLOW")[0]
	if string(m.Data) != "big" || m.Header.Get(envelope.HeaderPayload) != "" {
		t.Errorf("the copy is %q with %v", m.Data, m.Header)
	}
}

func TestAPayloadThatDoesNotFitBesideOurHeadersCanGoToASubject(t *testing.T) {
	const limit = 4096
	s := consumertest.NewServer(t, consumertest.WithConfig(func(o *server.Options) { o.MaxPayload = limit }))
	h := &house{t: t, server: s, js: s.JetStream(t)}
	h.stream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
	h.stream(jetstream.StreamConfig{Name: "JOBS_DEAD", Subjects: []string{"JOBS_DEAD.>"}})
	h.stream(jetstream.StreamConfig{Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"}, Retention: jetstream.WorkQueuePolicy, Discard: jetstream.DiscardNew})
	h.Letters = h.of(h.js, "worker")
	h.died(letter{tenant: "acme", atOrigin: true, origin: h.job("jobs.acme", strings.Repeat("x", limit-100))})
	for _, dry := range []bool{true, false} {
		rs := h.replayAll(dlq.Replay{DryRun: dry})
		if len(rs) != 1 || rs[0].Err == nil || !strings.Contains(rs[0].Err.Error(), "publish it to a subject instead") {
			t.Errorf("replayed %+v", rs)
		}
	}
	if rs := h.replayAll(dlq.Replay{ToSubject: "jobs.acme"}); len(rs) != 1 || !rs[0].Removed {
		t.Errorf("replayed %+v", rs)
	}
}

func TestAnEntryThatSomebodyElseRemovedIsReported(t *testing.T) {
	h := newHouse(t)
	h.died(letter{tenant: "acme"})
	entries := h.list(dlq.Filter{})
	h.results(h.Discard(t.Context(), h.List(t.Context(), dlq.Filter{}), false))
	rs := h.results(h.Replay(t.Context(), withoutErrors(slices.Values(entries)), dlq.Replay{}))
	if len(rs) != 1 || !errors.Is(rs[0].Err, dlq.ErrNotFound) {
		t.Errorf("replayed %+v", rs)
	}
	h.wantStored(map[string]int{"JOBS_OVERFLOW": 0})
}

func TestDiscardRemovesWhatIsListed(t *testing.T) {
	h := newHouse(t)
	h.died(letter{tenant: "acme"})
	h.died(letter{tenant: "other"})
	h.died(letter{tenant: "acme", durable: "another"})
	rs := h.results(h.Discard(t.Context(), h.List(t.Context(), dlq.Filter{Tenant: "acme"}), false))
	if len(rs) != 1 || !rs[0].Removed || rs[0].Err != nil {
		t.Errorf("discarded %+v", rs)
	}
	again := h.results(h.Discard(t.Context(), withoutErrors(slices.Values([]dlq.Entry{rs[0].Entry})), false))
	if len(again) != 1 || !again[0].Removed || again[0].Err != nil {
		t.Errorf("discarded again: %+v", again)
	}
	h.wantStored(map[string]int{"JOBS_DEAD": 2, "JOBS_OVERFLOW": 0})
}

func TestEntriesThatCannotBeReadAreReportedAndTheRestReplayed(t *testing.T) {
	h := newHouse(t)
	h.died(letter{tenant: "acme"})
	replayed, missing := 0, 0
	for r, err := range h.Replay(t.Context(), h.Pick(t.Context(), 9, 1), dlq.Replay{}) {
		switch {
		case errors.Is(err, dlq.ErrNotFound):
			missing++
		case err == nil && r.Removed:
			replayed++
		}
	}
	if replayed != 1 || missing != 1 {
		t.Errorf("replayed %d, missed %d", replayed, missing)
	}
}

func withoutErrors(entries func(func(dlq.Entry) bool)) func(func(dlq.Entry, error) bool) {
	return func(yield func(dlq.Entry, error) bool) {
		for e := range entries {
			if !yield(e, nil) {
				return
			}
		}
	}
}

func (h *house) remove(stream string) {
	h.t.Helper()
	if err := h.js.DeleteStream(h.t.Context(), stream); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) consumer(stream, filter string) {
	h.t.Helper()
	if _, err := h.js.CreateConsumer(h.t.Context(), stream, jetstream.ConsumerConfig{Durable: "reader", FilterSubject: filter}); err != nil {
		h.t.Fatal(err)
	}
}
