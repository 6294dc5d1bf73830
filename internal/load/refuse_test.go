package load_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/internal/load"
)

func TestWhatNoStreamTakesFails(t *testing.T) {
	r := newRig(t)
	r.s.Stream(t, "OTHER", "other")
	for subject, want := range map[string]string{"nobody.x": "no stream takes the subject", "other": "is of stream OTHER"} {
		res := runner(t, load.Config{Stages: parsed(t, "100/s:50ms")}).Run(t.Context(), r.target(load.JetStreamConfig{Subject: subject}))
		balanced(t, res)
		if res.Failed != 5 || !strings.Contains(res.Failures[0].Error, want) {
			t.Errorf("%s: %+v, failures: %v", subject, res.Account, res.Failures)
		}
	}
}

func TestAWrongJetStreamConfigIsRefusedBeforeAnythingIsSent(t *testing.T) {
	r := newRig(t)
	for want, c := range map[string]load.JetStreamConfig{
		"Stream is empty":         {Subject: "x"},
		"Subject is \"jobs.*\"":   {Stream: "JOBS", Subject: "jobs.*"},
		"Moves.Origin is nil":     {Stream: "JOBS", Subject: "x", Moves: &load.Moves{}},
		"stream NONE":             {Stream: "NONE", Subject: "x"},
		"durable none":            {Stream: "JOBS", Subject: "x", Durable: "none"},
		"durable all has ack pol": {Stream: "JOBS", Subject: "x", Durable: "all"},
	} {
		if c.Durable == "all" {
			if _, err := r.js.CreateConsumer(t.Context(), "JOBS", jetstream.ConsumerConfig{Durable: "all", AckPolicy: jetstream.AckAllPolicy}); err != nil {
				t.Fatal(err)
			}
		}
		if target, err := load.OpenJetStream(t.Context(), r.js, c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v gives %v, %v, want %q", c, target, err, want)
		}
	}
}

func TestAMissingPermissionIsSaidAtOnce(t *testing.T) {
	s := consumertest.NewServer(t, consumertest.WithConfig(func(o *server.Options) {
		o.Users = []*server.User{
			{Username: "all", Password: "x"},
			{Username: "deaf", Password: "x", Permissions: &server.Permissions{Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX.>"}}}},
		}
		o.NoAuthUser = "all"
	}))
	stream := s.Stream(t, "JOBS", "jobs.>")
	if _, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "worker", AckPolicy: jetstream.AckExplicitPolicy}); err != nil {
		t.Fatal(err)
	}
	conn, err := nats.Connect("", nats.InProcessServer(s), nats.UserInfo("deaf", "x"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	_, err = load.OpenJetStream(t.Context(), js, load.JetStreamConfig{Stream: "JOBS", Subject: "jobs.x", Durable: "worker"})
	if !errors.Is(err, nats.ErrPermissionViolation) || !strings.Contains(err.Error(), "$JS.ACK.JOBS.worker") {
		t.Errorf("error is %v", err)
	}
}
