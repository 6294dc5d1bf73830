package dlq_test

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/dlq"
	"github.com/spillwaymq/spillway/internal/envelope"
)

func TestListTellsWhatIsKnownOfAnEntry(t *testing.T) {
	h := newHouse(t)
	h.died(letter{tenant: "acme", reason: "attempts", data: "cat.png"})
	es := h.list(dlq.Filter{})
	if len(es) != 1 || es[0].Died.IsZero() {
		t.Fatalf("listed %+v", es)
	}
	es[0].Died = time.Time{}
	want := dlq.Entry{
		Sequence: 1, Tenant: "acme", Reason: "attempts", Error: "it broke", Attempts: 3, Size: 7,
		Subject: "jobs.acme", Stream: "JOBS", OriginSequence: 7, Published: time.Unix(1, 2).UTC(),
	}
	if es[0] != want {
		t.Errorf("listed %+v, want %+v", es[0], want)
	}
}

func TestListTakesWhatTheFilterSays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t)
		h.died(letter{tenant: "acme", reason: "attempts"})
		h.died(letter{tenant: "a.b", reason: "permanent"})
		h.died(letter{tenant: "", reason: "no_tenant"})
		h.died(letter{tenant: "acme", reason: "crash", durable: "another"})
		time.Sleep(time.Hour)
		h.died(letter{tenant: "acme", reason: "permanent"})

		h.wantListed(dlq.Filter{}, 1, 2, 3, 5)
		h.wantListed(dlq.Filter{Tenant: "acme"}, 1, 5)
		h.wantListed(dlq.Filter{Tenant: "a.b"}, 2)
		h.wantListed(dlq.Filter{Tenant: "*"})
		h.wantListed(dlq.Filter{Reason: "permanent"}, 2, 5)
		h.wantListed(dlq.Filter{Tenant: "acme", Reason: "permanent"}, 5)
		h.wantListed(dlq.Filter{Since: time.Now().Add(-time.Minute)}, 5)
		h.wantListed(dlq.Filter{Since: time.Now().Add(time.Minute)})
		h.wantListed(dlq.Filter{Limit: 2}, 1, 2)
		h.wantListed(dlq.Filter{Reason: "permanent", Limit: 1}, 2)
	})
}

func TestAnEntryUnderTheSubjectOfAnotherTenantIsNotListedForThatTenant(t *testing.T) {
	h := newHouse(t)
	header := envelope.Carry(nil, envelope.Origin{Subject: "jobs.x", Stream: "JOBS", Sequence: 1})
	header.Set(envelope.HeaderTenant, "evil")
	h.publish(&nats.Msg{Subject: "JOBS_DEAD.worker.acme", Header: header})
	h.wantListed(dlq.Filter{Tenant: "acme"})
	h.wantListed(dlq.Filter{}, 1)
}

func TestWhatIsNoRecordIsListedAsForeign(t *testing.T) {
	h := newHouse(t)
	h.publish(&nats.Msg{Subject: "JOBS_DEAD.worker.acme", Data: []byte("hello"), Header: nats.Header{"Status": {"404"}}})
	es := h.list(dlq.Filter{})
	if len(es) != 1 || !es[0].Foreign || es[0].Size != 5 {
		t.Errorf("listed %+v", es)
	}
}

func TestListOfAMissingStreamIsAnError(t *testing.T) {
	h := newHouse(t)
	if err := h.js.DeleteStream(t.Context(), "JOBS_DEAD"); err != nil {
		t.Fatal(err)
	}
	err := firstError(h.List(t.Context(), dlq.Filter{}))
	if !errors.Is(err, jetstream.ErrStreamNotFound) || !strings.Contains(err.Error(), "JOBS_DEAD") {
		t.Errorf("error %v", err)
	}
}

func TestShowTellsAll(t *testing.T) {
	h := newHouse(t)
	user := nats.Header{"X": {"1", "2"}, "Nats-Msg-Id": {"mine"}}
	seq := h.died(letter{tenant: "acme", reason: "attempts", header: user, data: "cat.png"})
	l, err := h.Show(t.Context(), seq)
	if err != nil {
		t.Fatal(err)
	}
	if string(l.Data) != "cat.png" || l.Stack != "main.go:1\nmain.go:2" || l.Tenant != "acme" || l.Size != 7 {
		t.Errorf("shown %+v", l)
	}
	if !maps.EqualFunc(l.Header, user, slices.Equal) {
		t.Errorf("headers %v, want %v", l.Header, user)
	}
}

func TestShowAndPickKnowOnlyEntriesOfTheDurable(t *testing.T) {
	h := newHouse(t)
	h.died(letter{tenant: "acme", durable: "another"})
	h.died(letter{tenant: "acme"})
	for _, seq := range []uint64{1, 3, 0} {
		if _, err := h.Show(t.Context(), seq); !errors.Is(err, dlq.ErrNotFound) {
			t.Errorf("Show(%d): %v", seq, err)
		}
	}
	var picked []uint64
	missing := 0
	for e, err := range h.Pick(t.Context(), 3, 2, 1) {
		if err != nil {
			missing++
			continue
		}
		picked = append(picked, e.Sequence)
	}
	if !slices.Equal(picked, []uint64{2}) || missing != 2 {
		t.Errorf("picked %d, missed %d", picked, missing)
	}
}

func TestAPayloadAtItsOriginIsShown(t *testing.T) {
	h := newHouse(t)
	seq := h.died(letter{tenant: "acme", atOrigin: true, origin: h.job("jobs.acme", "big")})
	l, err := h.Show(t.Context(), seq)
	if err != nil || string(l.Data) != "big" || l.Gone != "" {
		t.Errorf("shown %q, gone %q, %v", l.Data, l.Gone, err)
	}
}

func TestAPayloadThatIsGoneIsSaidToBe(t *testing.T) {
	h := newHouse(t)
	here := h.job("jobs.acme", "big")
	removed, recreated, elsewhere := here, here, here
	removed.Sequence++
	recreated.Time = recreated.Time.Add(-time.Hour)
	elsewhere.Stream = "SECRET"
	for want, origin := range map[string]envelope.Origin{
		"does not have message 2 any more": removed,
		"is another one":                   recreated,
		`said to be in stream "SECRET"`:    elsewhere,
	} {
		seq := h.died(letter{tenant: "acme", atOrigin: true, origin: origin})
		l, err := h.Show(t.Context(), seq)
		if err != nil || !strings.Contains(l.Gone, want) {
			t.Errorf("gone %q, %v, want something with %q", l.Gone, err, want)
		}
	}
	for _, r := range h.replayAll(dlq.Replay{}) {
		if r.Err == nil || r.Removed || !strings.Contains(r.Err.Error(), "the payload is gone") {
			t.Errorf("replayed %+v", r)
		}
	}
	h.wantStored(map[string]int{"JOBS_DEAD": 3, "JOBS_OVERFLOW": 0})
}

func TestAPayloadInAStreamThatIsGoneIsSaidToBe(t *testing.T) {
	h := newHouse(t)
	seq := h.died(letter{tenant: "acme", atOrigin: true})
	h.remove("JOBS")
	if l, err := h.Show(t.Context(), seq); err != nil || !strings.Contains(l.Gone, "JOBS does not exist any more") {
		t.Errorf("gone %q, %v", l.Gone, err)
	}
}

func TestNewRefusesNamesThatAreNone(t *testing.T) {
	_, err := dlq.New(nil, dlq.Config{Stream: "JOBS.x", DeadLetter: ">"})
	for _, want := range []string{"JetStream context", `Stream is "JOBS.x"`, `Durable is ""`, `DeadLetter is ">"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want something with %q", err, want)
		}
	}
}

// job publishes a message and returns where it is.
func (h *house) job(subject, data string) envelope.Origin {
	h.t.Helper()
	seq := h.publish(&nats.Msg{Subject: subject, Data: []byte(data)})
	for _, m := range h.messages("JOBS") {
		if m.Sequence == seq {
			return envelope.Origin{Subject: subject, Stream: "JOBS", Sequence: seq, Time: m.Time}
		}
	}
	h.t.Fatalf("message %d is not there", seq)
	return envelope.Origin{}
}
