package consumertest_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// t is what a test function is given.
var t *testing.T

func Example() {
	// func TestJobs(t *testing.T) {
	s := consumertest.NewServer(t)
	stream := s.Stream(t, "JOBS", "jobs.>")
	js := s.JetStream(t)

	if _, err := js.Publish(t.Context(), "jobs.acme.resize", []byte("cat.png")); err != nil {
		t.Fatal(err)
	}
	msg, err := stream.GetLastMsgForSubject(t.Context(), "jobs.acme.>")
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(string(msg.Data))
}

// A message that nobody acknowledges comes again after AckWait, which costs no real
// time inside a bubble.
func Example_virtualTime() {
	// func TestRedelivery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := consumertest.NewServer(t)
		stream := s.Stream(t, "JOBS", "jobs.>")
		if _, err := s.JetStream(t).Publish(t.Context(), "jobs.acme", nil); err != nil {
			t.Fatal(err)
		}
		cons, err := stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{
			AckPolicy: jetstream.AckExplicitPolicy,
			AckWait:   30 * time.Second,
		})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 { // the second comes 30 seconds later, at once
			if _, err := cons.Next(jetstream.FetchMaxWait(time.Minute)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A restart loses no message, and clients come back by themselves.
func ExampleServer_Restart() {
	s := consumertest.NewServer(t)
	s.Stream(t, "JOBS", "jobs.>")
	js := s.JetStream(t)

	if _, err := js.Publish(t.Context(), "jobs.acme", nil); err != nil {
		t.Fatal(err)
	}
	s.Restart(t)
	if _, err := js.Publish(t.Context(), "jobs.acme", nil); err != nil {
		t.Fatal(err)
	}
}
