package handlers_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/cmd/worker/internal/handlers"
	"github.com/spillwaymq/spillway/consumer"
)

func message() *consumer.Message {
	return &consumer.Message{
		Subject: "jobs.acme.invoice", Tenant: "acme", Stream: "JOBS", Sequence: 42, Attempt: 3,
		Published: time.Date(2026, 2, 3, 4, 5, 6, 7_000_000, time.FixedZone("", 3600)),
		Header:    nats.Header{}, Data: []byte("payload"),
	}
}

// server answers each request by answer and hands it over, with its body read.
func server(t *testing.T, answer http.HandlerFunc) (url string, requests <-chan *http.Request) {
	t.Helper()
	seen := make(chan *http.Request, 16)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		seen <- r
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s.URL, seen
}

func post(t *testing.T, cfg handlers.HTTPConfig) *handlers.HTTP {
	t.Helper()
	h, err := handlers.NewHTTP(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func ok(http.ResponseWriter, *http.Request) {}

func TestPostTellsWhatIsKnownOfTheMessage(t *testing.T) {
	url, requests := server(t, ok)
	if err := post(t, handlers.HTTPConfig{URL: url + "/invoice?x=1", UserAgent: "spillway/test"}).Handle(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	r := <-requests
	body, _ := io.ReadAll(r.Body)
	if r.Method != http.MethodPost || r.URL.String() != "/invoice?x=1" || string(body) != "payload" {
		t.Errorf("request is %s %s %q", r.Method, r.URL, body)
	}
	for name, want := range map[string]string{
		"Spillway-Subject": "jobs.acme.invoice", "Spillway-Tenant": "acme", "Spillway-Stream": "JOBS",
		"Spillway-Sequence": "42", "Spillway-Published": "2026-02-03T03:05:06.007Z", "Spillway-Attempt": "3",
		"Idempotency-Key": "JOBS-42", "User-Agent": "spillway/test",
	} {
		if got := r.Header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}

func TestIdempotencyKeyIsTheMessageIDIfItFits(t *testing.T) {
	url, requests := server(t, ok)
	h := post(t, handlers.HTTPConfig{URL: url})
	for id, want := range map[string]string{
		"order-7":                 "order-7",
		"":                        "JOBS-42",
		"a\nb":                    "JOBS-42",
		strings.Repeat("x", 2000): "JOBS-42",
	} {
		m := message()
		m.Header.Set("Nats-Msg-Id", id)
		m.Header.Set("Idempotency-Key", "forged")
		if err := h.Handle(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		if got := (<-requests).Header.Values("Idempotency-Key"); len(got) != 1 || got[0] != want {
			t.Errorf("key of %.20q is %q, want %q", id, got, want)
		}
	}
}

func TestHeadersOfTheMessagePassLessThoseThatMustNot(t *testing.T) {
	url, requests := server(t, ok)
	m := message()
	m.Header = nats.Header{
		"traceparent": {"00-abc"}, "Ce-Id": {"1"}, "Content-Type": {"text/plain"}, "X-Twice": {"a", "b"},
		"Nats-Expected-Stream": {"x"}, "nats-ttl": {"x"}, "Spillway-Attempt": {"99"}, "spillway_tenant": {"forged"},
		"Connection": {"X-Hop, close"}, "X-Hop": {"x"}, "Keep-Alive": {"x"}, "TE": {"trailers"}, "Trailer": {"X"}, "Upgrade": {"h2c"},
		"Transfer-Encoding": {"chunked"}, "Proxy-Authorization": {"x"}, "Proxy-Connection": {"x"},
		"Host": {"evil"}, "Content-Length": {"1"}, "content_length": {"1"}, "Authorization": {"Bearer x"}, "Cookie": {"x"},
		"X-Inject": {"a\r\nX-Evil: 1"}, "X Bad\r\nX-Evil": {"1"}, "": {"x"}, "X-Nul": {"a\x00b"}, "X-Mixed": {"good", "b\nad"},
	}
	if err := post(t, handlers.HTTPConfig{URL: url}).Handle(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	r := <-requests
	for name, want := range map[string]string{"Traceparent": "00-abc", "Ce-Id": "1", "Content-Type": "text/plain", "X-Twice": "a,b", "X-Mixed": "good", "Spillway-Attempt": "3", "Spillway-Tenant": "acme"} {
		if got := strings.Join(r.Header.Values(name), ","); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"Nats-Expected-Stream", "Nats-Ttl", "Spillway_tenant", "Content_length", "X-Hop", "Keep-Alive", "Te", "Upgrade", "Proxy-Authorization", "Proxy-Connection", "Authorization", "Cookie", "X-Inject", "X-Evil", "X-Nul"} {
		if got, ok := r.Header[name]; ok {
			t.Errorf("%s passed: %q", name, got)
		}
	}
	if r.Host == "evil" || r.ContentLength != int64(len("payload")) || len(r.TransferEncoding) > 0 {
		t.Errorf("host is %q, length %d, encoding %q", r.Host, r.ContentLength, r.TransferEncoding)
	}
}

func TestHostileSubjectIsOneHeader(t *testing.T) {
	url, requests := server(t, ok)
	m := message()
	m.Subject = "jobs.a\x01\x7fb.ü"
	if err := post(t, handlers.HTTPConfig{URL: url}).Handle(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	if got := (<-requests).Header.Get("Spillway-Subject"); got != "jobs.a%01%7Fb.ü" {
		t.Errorf("subject is %q", got)
	}
}

func TestOwnHeadersWinAndFilesAreReadAgain(t *testing.T) {
	url, requests := server(t, ok)
	token := filepath.Join(t.TempDir(), "token")
	write := func(text string) {
		if err := os.WriteFile(token, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("Bearer one\n")
	h := post(t, handlers.HTTPConfig{URL: url, Headers: map[string]handlers.HeaderValue{
		"authorization": {File: token}, "content-type": {Value: "application/json"}, "Host": {Value: "billing.internal"},
	}})
	m := message()
	m.Header = nats.Header{"Content-Type": {"text/plain"}, "Authorization": {"Bearer forged"}}
	for _, want := range []string{"Bearer one", "Bearer two"} {
		write(want + "\n")
		if err := h.Handle(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		r := <-requests
		if got := r.Header.Get("Authorization"); got != want || r.Host != "billing.internal" || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("authorization, host, type are %q, %q, %q", got, r.Host, r.Header.Get("Content-Type"))
		}
	}
}

func TestAHeaderFileThatIsGoneSpendsNoAttempt(t *testing.T) {
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := post(t, handlers.HTTPConfig{URL: "http://127.0.0.1:1", Headers: map[string]handlers.HeaderValue{"A": {File: token}}})
	if err := os.Remove(token); err != nil {
		t.Fatal(err)
	}
	if got := verdict(t, h, message()); got != consumer.ResultOverloaded {
		t.Errorf("verdict is %s", got)
	}
	if _, err := handlers.NewHTTP(handlers.HTTPConfig{URL: "http://h", Headers: map[string]handlers.HeaderValue{"A": {File: token}}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error of a handler whose file is not there is %v", err)
	}
}

func TestStatusDecides(t *testing.T) {
	t.Parallel() // it mostly waits
	for status, want := range map[int]consumer.Result{
		200: consumer.ResultSuccess, 201: consumer.ResultSuccess, 204: consumer.ResultSuccess, 299: consumer.ResultSuccess,
		301: consumer.ResultError, 302: consumer.ResultError, 307: consumer.ResultError,
		400: consumer.ResultDeadLetter, 410: consumer.ResultDeadLetter, 413: consumer.ResultDeadLetter, 415: consumer.ResultDeadLetter, 422: consumer.ResultDeadLetter,
		401: consumer.ResultError, 403: consumer.ResultError, 404: consumer.ResultError, 409: consumer.ResultError, 500: consumer.ResultError, 502: consumer.ResultError, 504: consumer.ResultError,
		429: consumer.ResultOverloaded, 503: consumer.ResultOverloaded,
	} {
		url, requests := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(status)
		})
		h := post(t, handlers.HTTPConfig{URL: url, DeadLetterOn: []int{400, 410, 413, 415, 422}})
		if got := verdict(t, h, message()); got != want {
			t.Errorf("%d means %s, want %s", status, got, want)
		}
		if n := len(requests); n != 1 {
			t.Errorf("%d led to %d requests", status, n)
		}
	}
}

func TestAnswerIsShownShortened(t *testing.T) {
	url, _ := server(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(500)
		io.WriteString(w, "no\n\n  such\x1b[31m table "+strings.Repeat("x", 100_000))
	})
	err := post(t, handlers.HTTPConfig{URL: url}).Handle(t.Context(), message())
	if err == nil || !strings.HasPrefix(err.Error(), "http: answer 500 Internal Server Error: no such [31m table xxx") || len(err.Error()) > 1000 {
		t.Errorf("error is %.200v", err)
	}
}

func TestConnectionsAreUsedAgain(t *testing.T) {
	for _, status := range []int{200, 500} {
		url, requests := server(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			io.WriteString(w, strings.Repeat("x", 10_000))
		})
		h := post(t, handlers.HTTPConfig{URL: url})
		for range 3 {
			_ = h.Handle(t.Context(), message())
		}
		first := (<-requests).RemoteAddr
		for range 2 {
			if addr := (<-requests).RemoteAddr; addr != first {
				t.Errorf("after %d another connection was made", status)
			}
		}
	}
}

func TestRequestEndsWithItsContext(t *testing.T) {
	release := make(chan struct{})
	url, requests := server(t, func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-requests
		cancel()
	}()
	if err := post(t, handlers.HTTPConfig{URL: url}).Handle(ctx, message()); !errors.Is(err, context.Canceled) {
		t.Errorf("error is %v", err)
	}
}

func TestErrorTellsNoSecretOfTheURL(t *testing.T) {
	url, _ := server(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	err := post(t, handlers.HTTPConfig{URL: strings.Replace(url, "//", "//bob:hunter2@", 1) + "/?token=hunter2"}).Handle(t.Context(), message())
	if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.HasPrefix(err.Error(), "http: post to 127.0.0.1:") {
		t.Errorf("error is %v", err)
	}
}
