package main

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaymq/spillway/consumer/consumertest"
)

func open(t *testing.T) (url string, s *consumertest.Server) {
	t.Helper()
	s = consumertest.NewServer(t)
	s.Stream(t, "JOBS", "jobs.>")
	handler, err := gateway(s.JetStream(t))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL, s
}

func post(t *testing.T, url, key, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Idempotency-Key", key)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}

func TestWhatIsAcceptedIsStoredOnce(t *testing.T) {
	url, s := open(t)
	for _, key := range []string{"1", "1", "2"} {
		if got := post(t, url+"/jobs/acme/invoice", key, "{}"); got != http.StatusAccepted {
			t.Errorf("answered %d", got)
		}
	}
	stream, err := s.JetStream(t).Stream(t.Context(), "JOBS")
	if err != nil {
		t.Fatal(err)
	}
	if n := stream.CachedInfo().State.Msgs; n != 2 {
		t.Errorf("%d messages are stored, want 2", n)
	}
	last, err := stream.GetLastMsgForSubject(t.Context(), "jobs.acme.invoice")
	if err != nil || string(last.Data) != "{}" {
		t.Errorf("the last is %v, %v", last, err)
	}
}

func TestWhatCannotBeStoredIsRefused(t *testing.T) {
	url, s := open(t)
	for path, want := range map[string]int{
		"/jobs/a.b/invoice": http.StatusBadRequest,
		"/jobs/acme/*":      http.StatusBadRequest,
		"/jobs/acme":        http.StatusNotFound,
	} {
		if got := post(t, url+path, "1", "{}"); got != want {
			t.Errorf("%s: answered %d, want %d", path, got, want)
		}
	}
	if got := post(t, url+"/jobs/acme/invoice", "1", strings.Repeat("x", maxBody+1)); got != http.StatusRequestEntityTooLarge {
		t.Errorf("a large body: answered %d", got)
	}
	if err := s.JetStream(t).DeleteStream(t.Context(), "JOBS"); err != nil {
		t.Fatal(err)
	}
	if got := post(t, url+"/jobs/acme/invoice", "1", "{}"); got != http.StatusServiceUnavailable {
		t.Errorf("without a stream: answered %d", got)
	}
}

func TestATenantThatFloodsIsRefusedAlone(t *testing.T) {
	r := newRates()
	refused := 0
	for range 10 * burst {
		if !r.allow("noisy") {
			refused++
		}
	}
	if refused == 0 {
		t.Error("nothing was refused")
	}
	if !r.allow("quiet") {
		t.Error("another tenant was refused")
	}
	for i := range 2 * maxTenants {
		r.allow(strconv.Itoa(i))
	}
	if len(r.buckets) > maxTenants {
		t.Errorf("%d tenants are remembered, want %d at most", len(r.buckets), maxTenants)
	}
}

func TestWithoutNATSItSaysSo(t *testing.T) {
	if err := run(t.Context(), "127.0.0.1:0", "nats://127.0.0.1:1"); err == nil {
		t.Error("no error")
	}
}
