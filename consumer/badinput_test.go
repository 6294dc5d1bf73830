package consumer_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func TestAMessageThatNobodyCanTakeIsDeadLetteredWithItsReason(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		var mux consumer.Mux
		h := record(nil)
		mux.Route(consumer.Route{Subject: "jobs.*.known", Handler: h})
		publish := func(tenant string) { r.publish("jobs.x.known", "data", "Tenant-Id", tenant) }
		publish("")                               // no_tenant
		publish(strings.Repeat("x", 4096))        // bad_tenant
		publish("tab\tand bell\a")                // bad_tenant
		publish("not utf-8 \xff")                 // bad_tenant
		publish(`<b onclick="alert(1)">Bold</b>`) // fine: it is only a name
		publish("acme")
		r.publish("jobs.x.unknown", "data", "Tenant-Id", "acme") // no_route
		r.run(config(t, func(cfg *consumer.Config) { cfg.Tenant = consumer.Header("Tenant-Id") }), &mux)
		time.Sleep(10 * time.Second)
		var reasons []string
		for _, l := range r.letters() {
			reasons = append(reasons, l.Header.Get("Spillway-Reason"))
			if string(l.Data) != "data" || l.Header.Get("Spillway-Error") == "" {
				t.Errorf("dead letter %v with %q", l.Header, l.Data)
			}
		}
		if want := []string{"no_tenant", "bad_tenant", "bad_tenant", "bad_tenant", "no_route"}; !slices.Equal(reasons, want) {
			t.Errorf("reasons %v, want %v", reasons, want)
		}
		if n := len(h.all()); n != 2 {
			t.Errorf("%d messages were handled, want 2", n)
		}
		if got := r.c.Snapshot().DeadLetters; got[consumer.ReasonNoTenant] != 1 || got[consumer.ReasonBadTenant] != 3 || got[consumer.ReasonNoRoute] != 1 {
			t.Errorf("counted %v", got)
		}
	})
}

func TestADeadLetterOfEveryTenantNameIsStored(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		names := []string{"a.b.c", "*", ">", "_", "with space", "ümläut", `<script>`, strings.Repeat("long", 60), "%5F", "x"}
		for _, name := range names {
			r.publish("jobs.x", "", "Tenant-Id", name)
		}
		h := record(func(context.Context, *consumer.Message) error { return consumer.DeadLetter(errBoom) })
		r.run(config(t, func(cfg *consumer.Config) { cfg.Tenant = consumer.Header("Tenant-Id") }), h)
		time.Sleep(10 * time.Second)
		var got []string
		subjects := make(map[string]bool)
		for _, l := range r.letters() {
			got = append(got, l.Header.Get("Spillway-Tenant"))
			subjects[l.Subject] = true
			if n := strings.Count(l.Subject, "."); n != 2 {
				t.Errorf("subject %q has %d tokens", l.Subject, n+1)
			}
		}
		slices.Sort(got)
		slices.Sort(names)
		if !slices.Equal(got, names) {
			t.Errorf("dead letters of %q, want %q", got, names)
		}
		if len(subjects) != len(names) {
			t.Errorf("%d subjects for %d tenants: %v", len(subjects), len(names), subjects)
		}
	})
}

func TestWhileTheDeadLetterStreamIsFullTheOriginalStays(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		full := jetstream.StreamConfig{Name: "JOBS_DEAD", Subjects: []string{"JOBS_DEAD.>"}, Discard: jetstream.DiscardNew, MaxMsgs: 1}
		if _, err := r.js.CreateStream(t.Context(), full); err != nil {
			t.Fatal(err)
		}
		h := record(func(_ context.Context, m *consumer.Message) error {
			if m.Tenant == "bad" {
				return consumer.DeadLetter(errBoom)
			}
			return nil
		})
		for range 3 {
			r.publish("jobs.bad.x", "")
		}
		r.run(config(t, func(cfg *consumer.Config) { cfg.Retry.Max = 10 * time.Second }), h)
		time.Sleep(5 * time.Minute)
		if n := len(r.letters()); n != 1 {
			t.Fatalf("%d dead letters, want 1", n)
		}
		if backlog := r.c.Snapshot().Backlog; backlog != 2 {
			t.Errorf("backlog %d, want the 2 originals", backlog)
		}
		good := r.publish("jobs.good.x", "")
		time.Sleep(time.Second)
		if h.bySequence()[good] != 1 {
			t.Error("others do not go on")
		}
		full.MaxMsgs = -1
		if _, err := r.js.UpdateStream(t.Context(), full); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Minute)
		if n := len(r.letters()); n != 3 {
			t.Errorf("%d dead letters after there was room, want 3", n)
		}
	})
}

func TestAMessageTooLargeToBeCopiedIsRetriedInPlaceAndItsDeadLetterPointsToIt(t *testing.T) {
	for _, retention := range []jetstream.RetentionPolicy{jetstream.LimitsPolicy, jetstream.WorkQueuePolicy} {
		t.Run(retention.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := consumertest.NewServer(t, consumertest.WithConfig(func(o *server.Options) { o.MaxPayload = 64 << 10 }))
				r := &rig{Server: s, t: t, js: s.JetStream(t)}
				if _, err := r.js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}, Retention: retention}); err != nil {
					t.Fatal(err)
				}
				h := record(func(context.Context, *consumer.Message) error { return errBoom })
				seq := r.publish("jobs.acme.x", string(bytes.Repeat([]byte("x"), 64<<10)))
				r.run(config(t, func(cfg *consumer.Config) {
					cfg.Retry.MaxAttempts = 4
					cfg.Retry.Max = time.Minute
				}), h)
				time.Sleep(5 * time.Minute)
				letters := r.letters()
				if retention == jetstream.WorkQueuePolicy {
					if len(letters) != 0 || r.streamMsgs("JOBS") != 1 {
						t.Errorf("%d dead letters, %d messages: the original must stay, for an ack would delete it", len(letters), r.streamMsgs("JOBS"))
					}
					return
				}
				if got, want := h.attempts(), []string{"1@0s", "2@1s", "3@3s", "4@7s"}; !slices.Equal(got, want) {
					t.Errorf("attempts %v, want %v", got, want)
				}
				if len(letters) != 1 || letters[0].Header.Get("Spillway-Payload") != "at-origin" || letters[0].Header.Get("Spillway-Sequence") != fmt.Sprint(seq) {
					t.Errorf("dead letters %v", letters)
				}
			})
		})
	}
}

func TestHeadersThatWouldHaveTheCopyRefusedDoNotStopARetry(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		cfg := jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}, AllowMsgTTL: true, AllowRollup: true}
		if _, err := r.js.UpdateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
		h := record(func(_ context.Context, m *consumer.Message) error {
			if m.Attempt == 1 {
				return errBoom
			}
			return nil
		})
		r.publish("jobs.acme.a", "", nats.ExpectedStreamHdr, "JOBS")
		r.publish("jobs.acme.b", "", nats.ExpectedLastSeqHdr, "1")
		r.publish("jobs.acme.c", "", "Nats-TTL", "1h")
		r.publish("jobs.acme.d", "", "Nats-Rollup", "sub")
		r.run(config(t, nil), h)
		time.Sleep(time.Minute)
		counts := make(map[string]int)
		for _, run := range h.all() {
			counts[run.m.Subject]++
		}
		for _, subject := range []string{"jobs.acme.a", "jobs.acme.b", "jobs.acme.c", "jobs.acme.d"} {
			if counts[subject] != 2 {
				t.Errorf("%s ran %d times, want a failure and its retry", subject, counts[subject])
			}
		}
	})
}

func TestARecordInTheOverflowStreamThatIsNotOursIsDeadLettered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		h := record(nil)
		r.run(config(t, nil), h)
		time.Sleep(time.Second)
		r.publish("JOBS_OVERFLOW.w.retry", "forged", "Spillway-Attempt", "-7")
		time.Sleep(10 * time.Second)
		letters := r.letters()
		if len(letters) != 1 || letters[0].Header.Get("Spillway-Reason") != "bad_copy" || string(letters[0].Data) != "forged" {
			t.Errorf("dead letters %v", letters)
		}
		if len(h.all()) != 0 {
			t.Error("it was handled")
		}
	})
}

func TestAPolicyThatIsNotValidLeavesTheDefaultAndSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), record(nil)
		r.publish("jobs.acme.x", "")
		r.run(config(t, func(cfg *consumer.Config) {
			cfg.PolicyFor = func(_ string, p *consumer.TenantPolicy) { p.Weight = -1 }
		}), h)
		time.Sleep(time.Second)
		if len(h.all()) != 1 {
			t.Error("the message was not handled")
		}
	})
}

// A copy has the Nats-* headers under longer names, and some of its own: what a server took
// as it was published may be more than it takes as a copy.
func TestAMessageWhoseCopyWouldPassALimitIsRetriedInPlaceAndNotLost(t *testing.T) {
	const maxPayload = 128 << 10
	natsHeaders := func(n int) nats.Header {
		h := make(nats.Header)
		for i := range n {
			h[fmt.Sprintf("Nats-X-%04d", i)] = []string{"v"}
		}
		return h
	}
	type message struct {
		headers int
		payload int
	}
	var messages []message
	for n := 1650; n <= 1850; n += 5 { // 16 bytes each, 33 in a copy: 65,535 are 1,985 less what is ours
		messages = append(messages, message{headers: n})
	}
	messages = append(messages, message{headers: 1984}, message{headers: 1985}, message{headers: 4000})
	for free := 100; free < 6000; free += 100 { // 1,600 are the longer names, and some hundred what is ours
		messages = append(messages, message{headers: 100, payload: maxPayload - 1700 - free})
	}
	inBubble(t, func(t *testing.T) {
		s := consumertest.NewServer(t, consumertest.WithConfig(func(o *server.Options) { o.MaxPayload = maxPayload }))
		r := &rig{Server: s, t: t, js: s.JetStream(t)}
		r.createStream(jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
		h := record(func(_ context.Context, m *consumer.Message) error {
			if m.Attempt < 3 {
				return errBoom
			}
			return nil
		})
		for i, m := range messages {
			msg := &nats.Msg{Subject: fmt.Sprintf("jobs.t%d.x", i%10), Header: natsHeaders(m.headers), Data: make([]byte, m.payload)}
			if _, err := r.js.PublishMsg(t.Context(), msg); err != nil {
				t.Fatalf("%+v: %v", m, err)
			}
		}
		var mu sync.Mutex
		moved := make(map[bool]int)
		r.observe(config(t, nil), h, consumer.Observer{Settled: func(e consumer.Settled) {
			mu.Lock()
			defer mu.Unlock()
			if e.Outcome == consumer.OutcomeRetry {
				moved[e.Lane == consumer.LaneRetry]++
			}
		}})
		time.Sleep(2 * time.Minute)
		runs := make(map[uint64][]int)
		for _, run := range h.all() {
			runs[run.m.Sequence] = append(runs[run.m.Sequence], run.m.Attempt)
			if want := messages[run.m.Sequence-1]; len(run.m.Header) != want.headers || len(run.m.Data) != want.payload {
				t.Errorf("%+v has %d headers and %d bytes in attempt %d", want, len(run.m.Header), len(run.m.Data), run.m.Attempt)
			}
		}
		for i, m := range messages {
			if got := runs[uint64(i+1)]; !slices.Equal(got, []int{1, 2, 3}) {
				t.Errorf("%+v: attempts %v", m, got)
			}
		}
		mu.Lock()
		defer mu.Unlock()
		if moved[true] == 0 || moved[false] <= moved[true] { // of those that are moved each second retry is of the retry lane
			t.Errorf("%d retries of copies, %d of originals: the limits are not in between", moved[true], moved[false])
		}
		if n := r.ackPending("JOBS", "w"); n != 0 || len(r.letters()) != 0 || r.streamMsgs("JOBS_OVERFLOW") != 0 {
			t.Errorf("%d unacknowledged, %d dead letters, %d copies", n, len(r.letters()), r.streamMsgs("JOBS_OVERFLOW"))
		}
	})
}
