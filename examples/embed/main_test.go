package main

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func TestItWorksAndCanBeWatched(t *testing.T) {
	s := consumertest.NewServer(t, consumertest.WithListen())
	s.Stream(t, "JOBS", "jobs.>")
	if _, err := s.JetStream(t).Publish(t.Context(), "jobs.acme.greet", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	listener := listen(t)
	ctx, stop := context.WithCancel(t.Context())
	done, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- run(ctx, s.URL(t), listener, "", slog.New(slog.DiscardHandler), func(_ context.Context, m *consumer.Message) error {
			done <- m.Tenant + ": " + string(m.Data)
			return nil
		})
	}()
	if got := <-done; got != "acme: hello" {
		t.Errorf("did %q", got)
	}
	base := "http://" + listener.Addr().String()
	for path, want := range map[string]string{
		"/readyz":       "ok",
		"/livez":        "ok",
		"/metrics":      `spillway_workers{durable="embed",stream="JOBS"} 64`,
		"/api/v1/state": `"stream":"JOBS"`,
	} {
		if got := get(t, base+path); !strings.Contains(got, want) {
			t.Errorf("%s answers %.200q, want something with %q", path, got, want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if _, err := net.Dial("tcp", listener.Addr().String()); err == nil {
		t.Error("the endpoint is still there")
	}
}

func TestWithoutNATSItSaysSo(t *testing.T) {
	if err := run(t.Context(), "nats://127.0.0.1:1", listen(t), "", slog.New(slog.DiscardHandler), work); err == nil {
		t.Error("no error")
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

func get(t *testing.T, url string) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
