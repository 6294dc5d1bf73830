package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func TestEachKindGoesToItsHandler(t *testing.T) {
	keys := make(chan string, 1)
	billing := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		keys <- r.Header.Get("Idempotency-Key")
	}))
	t.Cleanup(billing.Close)
	s := consumertest.NewServer(t)
	s.Stream(t, "JOBS", "jobs.>")
	js := s.JetStream(t)
	mails := make(chan string, 1)
	c, err := newConsumer(js, invoice(billing.URL), func(_ context.Context, m *consumer.Message) error {
		mails <- m.Tenant
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, subject := range []string{"jobs.acme.invoice", "jobs.globex.mail"} {
		if _, err := js.Publish(t.Context(), subject, []byte("{}")); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	if key := <-keys; key != "JOBS-1" {
		t.Errorf("the idempotency key is %q, want JOBS-1", key)
	}
	if tenant := <-mails; tenant != "globex" {
		t.Errorf("a mail of %q, want globex", tenant)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestAnAnswerMeans(t *testing.T) {
	for status, want := range map[int]string{
		200: "", 204: "", 429: "Too Many Requests", 503: "Service Unavailable", 400: "Bad Request", 500: "Internal Server Error",
	} {
		err := meaning(status)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%d means %v, want something with %q", status, err, want)
		}
	}
}

func TestWithoutNATSItSaysSo(t *testing.T) {
	if err := run(t.Context(), "nats://127.0.0.1:1", "http://127.0.0.1:1"); err == nil {
		t.Error("no error")
	}
}
