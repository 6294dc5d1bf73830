package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/spillwaymq/spillway/flow"
	"github.com/spillwaymq/spillway/limiter"
)

// startProxy puts a proxy that admits what l does before backend.
func startProxy(t *testing.T, l *limiter.Limiter, backend http.HandlerFunc) *httptest.Server {
	t.Helper()
	behind := httptest.NewServer(backend)
	t.Cleanup(behind.Close)
	to, err := url.Parse(behind.URL)
	if err != nil {
		t.Fatal(err)
	}
	admission, err := admit(l)
	if err != nil {
		t.Fatal(err)
	}
	front := httptest.NewServer(admission.Wrap(proxy(to)))
	t.Cleanup(front.Close)
	return front
}

func get(t *testing.T, address string) (status int, header http.Header) {
	t.Helper()
	res, err := http.Get(address)
	if err != nil {
		t.Error(err)
		return 0, nil
	}
	_ = res.Body.Close()
	return res.StatusCode, res.Header
}

func newLimiter(t *testing.T, limit int) *limiter.Limiter {
	t.Helper()
	l, err := limiter.New(limiter.Config{Algorithm: limiter.Fixed, Max: limit})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestTheLimiterLearnsHowEachRequestEnded(t *testing.T) {
	l := newLimiter(t, 3)
	front := startProxy(t, l, func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
		if err != nil {
			t.Error(err)
		}
		w.WriteHeader(status)
	})
	for _, status := range []string{"200", "201", "404", "429", "503", "504", "500", "502"} {
		if got, _ := get(t, front.URL+"/"+status); strconv.Itoa(got) != status {
			t.Errorf("%d through the proxy, want %s", got, status)
		}
	}
	front.Close() // a handler may return a little after its response came
	if s := l.Stat(); s.Success != 3 || s.Drop != 3 || s.Ignore != 2 || s.InFlight != 0 {
		t.Errorf("%d successes, %d drops and %d ignored, %d in flight; want 3, 3, 2 and 0", s.Success, s.Drop, s.Ignore, s.InFlight)
	}
}

func TestWhatIsAboveTheLimitIsRefusedAtOnce(t *testing.T) {
	entered, free := make(chan struct{}), make(chan struct{})
	l := newLimiter(t, 2)
	front := startProxy(t, l, func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-free
	})
	done := make(chan int)
	for range 2 {
		go func() {
			status, _ := get(t, front.URL)
			done <- status
		}()
		<-entered
	}
	status, h := get(t, front.URL)
	if status != http.StatusServiceUnavailable || h.Get("Retry-After") != "1" || h.Get(flow.HeaderInflight) != "2" {
		t.Errorf("%d with %v, want 503, Retry-After and two in flight", status, h)
	}
	close(free)
	for range 2 {
		if status := <-done; status != http.StatusOK {
			t.Errorf("%d for a request that was admitted", status)
		}
	}
	front.Close()
	if s := l.Stat(); s.Refused != 1 || s.Success != 2 {
		t.Errorf("%d refused and %d successes, want 1 and 2", s.Refused, s.Success)
	}
}

func TestTheProgramEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run(ctx, "127.0.0.1:0", "http://127.0.0.1:1"); err != nil {
		t.Error(err)
	}
	for name, args := range map[string][2]string{"an address": {"nowhere:-1", "http://127.0.0.1:1"}, "a URL": {"127.0.0.1:0", ":"}} {
		if err := run(t.Context(), args[0], args[1]); err == nil {
			t.Errorf("%s that is none is accepted", name)
		}
	}
}
