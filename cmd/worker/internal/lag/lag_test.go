package lag_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/lag"
	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/internal/envelope"
)

func TestAnIdleDurableHasNoLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		r := h.read(lag.Config{Tenant: consumer.SubjectToken(2)})
		if r.Backlog != 0 || len(r.Lanes) != 3 || r.Tenants.Counted != 0 || r.Tenants.Missing != "" || r.Tenants.Cut != "" {
			t.Errorf("report %+v", r)
		}
		for _, l := range r.Lanes {
			if l.Missing != "" || !l.Oldest.IsZero() || l.OldestAge != 0 {
				t.Errorf("lane %+v", l)
			}
		}
	})
}

func TestTheMainLaneTellsWhatIsPendingAndWhatIsUnacknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		for range 10 {
			h.publish("jobs.acme", nil)
			time.Sleep(time.Minute)
		}
		given := h.take(4)
		ack(t, given[0])
		ack(t, given[2]) // not at the floor
		l := h.read(lag.Config{}).Lanes[0]
		want := lag.Lane{
			Lane: "main", Stream: "JOBS", Consumer: "worker", Pending: 6, AckPending: 2, Delivered: 4, Floor: 1,
			Oldest: l.Oldest, OldestAge: 9 * time.Minute,
		}
		if l.OldestAge = l.OldestAge.Round(time.Second); l != want {
			t.Errorf("lane %+v, want %+v", l, want)
		}
	})
}

func TestRedeliveriesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		h.publish("jobs.acme", nil)
		if err := h.take(1)[0].Nak(); err != nil {
			t.Fatal(err)
		}
		h.take(1)
		if l := h.read(lag.Config{}).Lanes[0]; l.Redelivered != 1 || l.AckPending != 1 {
			t.Errorf("lane %+v", l)
		}
	})
}

func TestTheOldestOfTheRetryLaneIsByPublication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		published := time.Now().Add(-time.Hour).UTC()
		header := envelope.Carry(nil, envelope.Origin{Subject: "jobs.a", Stream: "JOBS", Sequence: 1, Time: published})
		h.publish(envelope.RetrySubject("JOBS_OVERFLOW", "worker"), header)
		h.publish("jobs.a", header) // forged
		r := h.read(lag.Config{})
		if l := r.Lanes[1]; l.Lane != consumer.LaneRetry || l.Pending != 1 || !l.Oldest.Equal(published) || l.OldestAge < time.Hour {
			t.Errorf("lane %+v", l)
		}
		if l := r.Lanes[0]; l.OldestAge > time.Minute {
			t.Errorf("a forged header is believed: %+v", l)
		}
		if r.Backlog != 2 {
			t.Errorf("backlog %d, want 2", r.Backlog)
		}
	})
}

func TestOnlyWhatTheDurableTakesIsItsLag(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy, "jobs.b.>", "jobs.d")
		for _, subject := range []string{"jobs.a.x", "jobs.d", "jobs.b.x", "jobs.c", "jobs.b.y"} {
			h.publish(subject, nil)
		}
		r := h.read(lag.Config{Tenant: consumer.SubjectToken(2)})
		if l := r.Lanes[0]; l.Pending != 3 || l.Oldest.IsZero() {
			t.Errorf("lane %+v", l)
		}
		h.wantTenants(r, lag.TenantCount{Tenant: "b", Messages: 2}, lag.TenantCount{Tenant: "d", Messages: 1})
	})
}

func TestWhatDoesNotExistIsSaidToBeMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		h.publish("jobs.acme", nil)
		r := h.read(lag.Config{Overflow: "NONE", Tenant: consumer.SubjectToken(2)})
		for i, want := range []string{"", "stream NONE does not exist", "stream NONE does not exist"} {
			if r.Lanes[i].Missing != want {
				t.Errorf("lane %+v, want missing %q", r.Lanes[i], want)
			}
		}
		if r.Backlog != 1 || r.Tenants.Counted != 1 {
			t.Errorf("report %+v", r)
		}
	})
}

func TestADurableOrStreamThatDoesNotExistIsAnErrorThatNamesThoseThatDo(t *testing.T) {
	h := newHouse(t, jetstream.LimitsPolicy)
	for _, tt := range []struct {
		cfg  lag.Config
		is   error
		want string
	}{
		{lag.Config{Stream: "JOBS", Durable: "wroker"}, jetstream.ErrConsumerNotFound, "lag: durable wroker does not exist on stream JOBS; there are the durables worker"},
		{lag.Config{Stream: "JOB", Durable: "worker"}, jetstream.ErrStreamNotFound, "lag: stream JOB does not exist; there are the streams JOBS, JOBS_OVERFLOW"},
	} {
		if _, err := lag.Read(t.Context(), h.js, tt.cfg); !errors.Is(err, tt.is) || err.Error() != tt.want {
			t.Errorf("error %v, want %s", err, tt.want)
		}
	}
}

func TestPendingMessagesAreCountedByTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		h.publish("jobs.x", nats.Header{"Tenant-Id": {"gone"}})
		for _, tenant := range []string{"a", "b", "b", "", "\x01", "b"} {
			h.publish("jobs.x", nats.Header{"Tenant-Id": {tenant}, "Status": {"503"}})
		}
		ack(t, h.take(1)[0])
		r := h.read(lag.Config{Tenant: consumer.Header("Tenant-Id")})
		h.wantTenants(r, lag.TenantCount{Tenant: "b", Messages: 3}, lag.TenantCount{Tenant: "a", Messages: 1})
		if r.Tenants.Unknown != 2 || r.Tenants.Counted != 6 || r.Tenants.Unacknowledged || r.Tenants.Cut != "" {
			t.Errorf("tenants %+v", r.Tenants)
		}
		h.wantConsumers(1)
	})
}

func TestTenantsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		for i := range 10 {
			h.publish(fmt.Sprintf("jobs.t%d", i%5), nil)
		}
		r := h.read(lag.Config{Tenant: consumer.SubjectToken(2), Tenants: 2})
		if len(r.Tenants.Counts) != 2 || r.Tenants.Other != 6 || r.Tenants.Counted != 10 {
			t.Errorf("tenants %+v", r.Tenants)
		}
	})
}

func TestACountThatIsCutSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		for range 10 {
			h.publish("jobs.a", nil)
		}
		r := h.read(lag.Config{Tenant: consumer.SubjectToken(2), Messages: 4})
		if r.Tenants.Counted != 4 || r.Tenants.Cut != "stopped after 4 messages" {
			t.Errorf("tenants %+v", r.Tenants)
		}
		slow := func(string, nats.Header) string { time.Sleep(time.Second); return "a" }
		r = h.read(lag.Config{Tenant: slow, Within: 2500 * time.Millisecond})
		if r.Tenants.Counted != 3 || r.Tenants.Cut != "stopped after 2.5s" {
			t.Errorf("tenants %+v", r.Tenants)
		}
		r = h.read(lag.Config{Tenant: consumer.SubjectToken(2), Messages: 10})
		if r.Tenants.Counted != 10 || r.Tenants.Cut != "" {
			t.Errorf("tenants %+v", r.Tenants)
		}
		h.wantConsumers(1)
	})
}

func TestAWorkQueueIsCountedBySubject(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.WorkQueuePolicy)
		for i := range 10 {
			h.publish(fmt.Sprintf("jobs.%c.%d", 'a'+i%3, i), nil)
		}
		ack(t, h.take(2)[0])
		r := h.read(lag.Config{Tenant: consumer.SubjectToken(2), BySubject: true})
		h.wantTenants(r, lag.TenantCount{Tenant: "a", Messages: 3}, lag.TenantCount{Tenant: "b", Messages: 3}, lag.TenantCount{Tenant: "c", Messages: 3})
		if !r.Tenants.Unacknowledged || r.Tenants.Counted != 9 {
			t.Errorf("tenants %+v", r.Tenants)
		}
	})
}

func TestTenantsThatCannotBeToldAreSaidToBe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, tt := range []struct {
			retention jetstream.RetentionPolicy
			cfg       lag.Config
			want      string
		}{
			{jetstream.LimitsPolicy, lag.Config{}, "not said how a message tells its tenant"},
			{jetstream.WorkQueuePolicy, lag.Config{Tenant: consumer.Header("T")}, "the subject does not tell the tenant"},
			{jetstream.WorkQueuePolicy, lag.Config{Tenant: consumer.SubjectToken(2), BySubject: true, Messages: 2}, "has 3 subjects, more than 2"},
			{jetstream.InterestPolicy, lag.Config{Tenant: consumer.SubjectToken(2), BySubject: true}, "would make it keep messages"},
		} {
			h := newHouse(t, tt.retention)
			for i := range 3 {
				h.publish(fmt.Sprint("jobs.", i), nil)
			}
			r := h.read(tt.cfg)
			if !strings.Contains(r.Tenants.Missing, tt.want) || r.Lanes[0].Pending != 3 {
				t.Errorf("%v: report %+v, want missing %q", tt.retention, r, tt.want)
			}
		}
	})
}

func TestACancelledReadIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		h.publish("jobs.a", nil)
		h.publish("jobs.a", nil)
		synctest.Wait() // the count of what is pending lags behind the acknowledgement
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		_, err := lag.Read(ctx, h.js, lag.Config{Stream: "JOBS", Durable: "worker", Tenant: func(string, nats.Header) string {
			cancel()
			return "a"
		}})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v", err)
		}
	})
}

func TestAWrongConfigIsRefused(t *testing.T) {
	_, err := lag.Read(t.Context(), nil, lag.Config{Messages: -1, Within: -1, Tenants: -1})
	for _, want := range []string{"Stream is required", "Durable is required", "Messages is -1", "Within is -1ns", "Tenants is -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want something with %q", err, want)
		}
	}
}

// house is the streams and lanes of one durable, on a server of their own.
type house struct {
	t    *testing.T
	js   jetstream.JetStream
	main jetstream.Consumer
}

func newHouse(t *testing.T, retention jetstream.RetentionPolicy, filters ...string) *house {
	t.Helper()
	h := &house{t: t, js: consumertest.NewServer(t).JetStream(t)}
	for _, cfg := range []jetstream.StreamConfig{
		{Name: "JOBS", Subjects: []string{"jobs.>"}, Retention: retention},
		{Name: "JOBS_OVERFLOW", Subjects: []string{"JOBS_OVERFLOW.>"}, Retention: jetstream.WorkQueuePolicy},
	} {
		if _, err := h.js.CreateStream(t.Context(), cfg); err != nil {
			t.Fatal(err)
		}
	}
	h.main = h.consumer("JOBS", "worker", filters...)
	h.consumer("JOBS_OVERFLOW", "worker_retry", "JOBS_OVERFLOW.worker.retry")
	h.consumer("JOBS_OVERFLOW", "worker_suspect", "JOBS_OVERFLOW.worker.suspect")
	return h
}

func (h *house) consumer(stream, durable string, filters ...string) jetstream.Consumer {
	h.t.Helper()
	cfg := jetstream.ConsumerConfig{Durable: durable, AckPolicy: jetstream.AckExplicitPolicy, FilterSubjects: filters, AckWait: 24 * time.Hour}
	c, err := h.js.CreateConsumer(h.t.Context(), stream, cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return c
}

func (h *house) publish(subject string, header nats.Header) {
	h.t.Helper()
	if _, err := h.js.PublishMsg(h.t.Context(), &nats.Msg{Subject: subject, Header: header}); err != nil {
		h.t.Fatal(err)
	}
}

// take delivers n messages of the main lane.
func (h *house) take(n int) (ms []jetstream.Msg) {
	h.t.Helper()
	for range n {
		m, err := h.main.Next()
		if err != nil {
			h.t.Fatal(err)
		}
		ms = append(ms, m)
	}
	return ms
}

func ack(t *testing.T, m jetstream.Msg) {
	t.Helper()
	if err := m.DoubleAck(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (h *house) read(cfg lag.Config) lag.Report {
	h.t.Helper()
	cfg.Stream, cfg.Durable = "JOBS", "worker"
	synctest.Wait() // the server counts what is pending after it has confirmed it
	r, err := lag.Read(h.t.Context(), h.js, cfg)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func (h *house) wantTenants(r lag.Report, want ...lag.TenantCount) {
	h.t.Helper()
	if !slices.Equal(r.Tenants.Counts, want) {
		h.t.Errorf("tenants %+v, want %+v", r.Tenants, want)
	}
}

func (h *house) wantConsumers(want int) {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), "JOBS")
	if err != nil {
		h.t.Fatal(err)
	}
	if n := s.CachedInfo().State.Consumers; n != want {
		h.t.Errorf("the stream has %d consumers, want %d", n, want)
	}
}
