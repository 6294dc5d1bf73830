package scan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func TestHeadersReadsABigStreamInOrder(t *testing.T) {
	js := stream(t)
	for i := range 1000 {
		publish(t, js, &nats.Msg{Subject: fmt.Sprint("jobs.", i%3), Header: nats.Header{"N": {fmt.Sprint(i)}}, Data: make([]byte, i)})
	}
	next := uint64(0)
	for m, err := range scan.Headers(t.Context(), js, "JOBS", scan.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if m.Sequence != next+1 || m.Size != int(next) || m.Header.Get("N") != fmt.Sprint(next) || m.Data != nil {
			t.Fatalf("after %d: %+v", next, m)
		}
		next++
	}
	if next != 1000 {
		t.Errorf("read %d of 1000 messages", next)
	}
	wantNoConsumers(t, js)
}

func TestHeadersReadsWhatTheFilterSays(t *testing.T) {
	js := stream(t)
	for i := range 12 {
		publish(t, js, &nats.Msg{Subject: fmt.Sprint("jobs.", i%4)})
	}
	for _, tt := range []struct {
		filter scan.Filter
		want   []uint64
	}{
		{scan.Filter{Subjects: []string{"jobs.1"}}, []uint64{2, 6, 10}},
		{scan.Filter{Subjects: []string{"jobs.1", "jobs.3"}, From: 5}, []uint64{6, 8, 10, 12}},
		{scan.Filter{From: 12}, []uint64{12}},
		{scan.Filter{From: 13}, nil},
		{scan.Filter{Subjects: []string{"jobs.9"}}, nil},
	} {
		if got := sequences(t, js, tt.filter); !slices.Equal(got, tt.want) {
			t.Errorf("%+v: read %d, want %d", tt.filter, got, tt.want)
		}
	}
}

func TestHeadersBeginsAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		js := stream(t)
		publish(t, js, &nats.Msg{Subject: "jobs.1"})
		time.Sleep(time.Hour)
		since := time.Now()
		publish(t, js, &nats.Msg{Subject: "jobs.1"})
		if got := sequences(t, js, scan.Filter{Since: since}); !slices.Equal(got, []uint64{2}) {
			t.Errorf("read %d, want only 2", got)
		}
	})
}

func TestWhatIsStoredDuringAScanIsNotRead(t *testing.T) {
	js := stream(t)
	publish(t, js, &nats.Msg{Subject: "jobs.1"})
	publish(t, js, &nats.Msg{Subject: "jobs.1"})
	n := 0
	for _, err := range scan.Headers(t.Context(), js, "JOBS", scan.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		publish(t, js, &nats.Msg{Subject: "jobs.1"}) // for ever, if it were read
		n++
	}
	if n != 2 {
		t.Errorf("read %d messages, want 2", n)
	}
}

func TestMessagesThatAreRemovedDuringAScanEndItEarlier(t *testing.T) {
	js := stream(t)
	for range 600 {
		publish(t, js, &nats.Msg{Subject: "jobs.1"})
	}
	s, err := js.Stream(t.Context(), "JOBS")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, err := range scan.Headers(t.Context(), js, "JOBS", scan.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1 {
			if err := s.Purge(t.Context(), jetstream.WithPurgeKeep(0)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n > 256 {
		t.Errorf("read %d messages of a stream that was purged after the first", n)
	}
}

func TestAMessageThatLooksLikeAnAnswerOfTheServerIsRead(t *testing.T) {
	js := stream(t)
	for _, status := range []string{"404", "408", "409", "503", "100"} {
		publish(t, js, &nats.Msg{Subject: "jobs.1", Header: nats.Header{"Status": {status}, "Description": {"Consumer Deleted"}}})
	}
	if got := sequences(t, js, scan.Filter{}); len(got) != 5 {
		t.Errorf("read %d, want all 5", got)
	}
	m, err := scan.Get(t.Context(), js, "JOBS", 1)
	if err != nil || m.Header.Get("Status") != "404" {
		t.Errorf("Get: %+v, %v", m, err)
	}
}

func TestAScanThatIsLeftTakesItsConsumerAway(t *testing.T) {
	js := stream(t)
	for range 3 {
		publish(t, js, &nats.Msg{Subject: "jobs.1"})
	}
	for range scan.Headers(t.Context(), js, "JOBS", scan.Filter{}) {
		break
	}
	wantNoConsumers(t, js)
}

func TestACancelledScanEndsWithItsCause(t *testing.T) {
	js := stream(t)
	for range 600 {
		publish(t, js, &nats.Msg{Subject: "jobs.1"})
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range scan.Headers(ctx, js, "JOBS", scan.Filter{}) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("ended with %v", last)
	}
	wantNoConsumers(t, js)
}

func TestAScanGoesOnAfterTheConnectionWasCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		s.Stream(t, "JOBS", "jobs.>")
		js := s.JetStream(t)
		for range 1000 {
			publish(t, js, &nats.Msg{Subject: "jobs.1"})
		}
		want := uint64(0)
		for m, err := range scan.Headers(t.Context(), js, "JOBS", scan.Filter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if want++; m.Sequence != want {
				t.Fatalf("read %d, want %d", m.Sequence, want)
			}
			if want%200 == 0 {
				s.CutConnections(t)
			}
		}
		if want != 1000 {
			t.Errorf("read %d of 1000 messages", want)
		}
	})
}

func TestAStreamThatIsMissingIsAnError(t *testing.T) {
	js := stream(t)
	for _, err := range scan.Headers(t.Context(), js, "NONE", scan.Filter{}) {
		if !errors.Is(err, jetstream.ErrStreamNotFound) {
			t.Errorf("Headers: %v", err)
		}
	}
	if _, err := scan.Get(t.Context(), js, "NONE", 1); err == nil {
		t.Error("Get of a missing stream: no error")
	}
}

func TestGetAndNext(t *testing.T) {
	js := stream(t)
	publish(t, js, &nats.Msg{Subject: "jobs.1", Data: []byte("one")})
	publish(t, js, &nats.Msg{Subject: "jobs.2", Data: []byte("two"), Header: nats.Header{"X": {"1"}}})
	if m, err := scan.Get(t.Context(), js, "JOBS", 2); err != nil || string(m.Data) != "two" || m.Header.Get("X") != "1" || m.Size != 3 || m.Time.IsZero() {
		t.Errorf("Get(2) = %+v, %v", m, err)
	}
	if m, err := scan.Next(t.Context(), js, "JOBS", 0, "jobs.2"); err != nil || m.Sequence != 2 {
		t.Errorf("Next(0, jobs.2) = %+v, %v", m, err)
	}
	if _, err := scan.Get(t.Context(), js, "JOBS", 3); !errors.Is(err, scan.ErrNotFound) {
		t.Errorf("Get(3): %v", err)
	}
	if _, err := scan.Next(t.Context(), js, "JOBS", 2, "jobs.1"); !errors.Is(err, scan.ErrNotFound) {
		t.Errorf("Next(2, jobs.1): %v", err)
	}
}

// stream returns a client of a server with an empty stream JOBS.
func stream(t *testing.T) jetstream.JetStream {
	t.Helper()
	s := consumertest.NewServer(t)
	s.Stream(t, "JOBS", "jobs.>")
	return s.JetStream(t)
}

func publish(t *testing.T, js jetstream.JetStream, m *nats.Msg) {
	t.Helper()
	if _, err := js.PublishMsg(t.Context(), m); err != nil {
		t.Fatal(err)
	}
}

func sequences(t *testing.T, js jetstream.JetStream, f scan.Filter) (seqs []uint64) {
	t.Helper()
	for m, err := range scan.Headers(t.Context(), js, "JOBS", f) {
		if err != nil {
			t.Fatal(err)
		}
		seqs = append(seqs, m.Sequence)
	}
	return seqs
}

func wantNoConsumers(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	s, err := js.Stream(context.WithoutCancel(t.Context()), "JOBS")
	if err != nil {
		t.Fatal(err)
	}
	if n := s.CachedInfo().State.Consumers; n != 0 {
		t.Errorf("%d consumers are left", n)
	}
}
