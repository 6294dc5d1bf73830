package main

import (
	"context"
	"testing"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

// printed passes on what was written.
type printed chan string

func (p printed) Write(text []byte) (int, error) {
	p <- string(text)
	return len(text), nil
}

func TestWhatIsPublishedIsPrinted(t *testing.T) {
	s := consumertest.NewServer(t)
	s.Stream(t, "JOBS", "jobs.>")
	if _, err := s.JetStream(t).Publish(t.Context(), "jobs.acme.greet", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	out, ended := make(printed, 1), make(chan error, 1)
	go func() { ended <- hello(ctx, s.Conn(t), out) }()
	if got := <-out; got != "acme: hello\n" {
		t.Errorf("printed %q", got)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
