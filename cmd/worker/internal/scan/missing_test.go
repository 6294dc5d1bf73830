package scan_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/scan"
)

func TestWhatDoesNotExistIsToldWithSomeOfWhatDoes(t *testing.T) {
	js := stream(t)
	s, err := scan.Stream(t.Context(), js, "JOBS")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scan.Durable(t.Context(), s, "wroker"); err == nil || err.Error() != "durable wroker does not exist on stream JOBS" {
		t.Errorf("without any durable: %v", err)
	}
	for i := range 20 {
		if _, err := js.CreateConsumer(t.Context(), "JOBS", jetstream.ConsumerConfig{Durable: fmt.Sprintf("d%02d", i)}); err != nil {
			t.Fatal(err)
		}
		if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: fmt.Sprintf("S%02d", i)}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := scan.Durable(t.Context(), s, "d07"); err != nil {
		t.Error(err)
	}
	_, err = scan.Durable(t.Context(), s, "wroker")
	wantMissing(t, err, jetstream.ErrConsumerNotFound)
	_, err = scan.Stream(t.Context(), js, "JOB")
	wantMissing(t, err, jetstream.ErrStreamNotFound)
}

func wantMissing(t *testing.T, err, is error) {
	t.Helper()
	missing, ok := errors.AsType[*scan.MissingError](err)
	if !ok || !errors.Is(err, is) || len(missing.Known) != 8 {
		t.Errorf("error %v, want one of a missing thing that knows 8 others", err)
	}
}
