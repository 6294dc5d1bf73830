package flow

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func newAdmission(t *testing.T, c AdmissionConfig) *Admission {
	t.Helper()
	a, err := NewAdmission(c)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// fakeLimiter has limit places and remembers the outcomes.
type fakeLimiter struct {
	mu       sync.Mutex
	free     int
	outcomes []Outcome
}

func (l *fakeLimiter) TryAcquire() (func(Outcome), bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.free == 0 {
		return nil, false
	}
	l.free--
	return func(o Outcome) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.free++
		l.outcomes = append(l.outcomes, o)
	}, true
}

func (l *fakeLimiter) got() []Outcome {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.outcomes)
}

// both runs a test with a Limit and with a Limiter, each for n requests.
func both(t *testing.T, n int, f func(t *testing.T, c AdmissionConfig, l *fakeLimiter)) {
	t.Run("Limit", func(t *testing.T) { f(t, AdmissionConfig{Limit: n}, nil) })
	t.Run("Limiter", func(t *testing.T) {
		l := &fakeLimiter{free: n}
		f(t, AdmissionConfig{Limiter: l}, l)
	})
}

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.ErrorLog = discard()
	s.Start()
	t.Cleanup(s.Close)
	return s
}

func do(t *testing.T, s *httptest.Server, method, path string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	res.Body.Close()
	if err != nil {
		t.Fatal(err)
	}
	return res, string(body)
}

func TestAFullAdmissionAnswers503(t *testing.T) {
	both(t, 2, func(t *testing.T, c AdmissionConfig, _ *fakeLimiter) {
		c.RetryAfter = 1500 * time.Millisecond
		a := newAdmission(t, c)
		entered, free := make(chan struct{}), make(chan struct{})
		s := serve(t, a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				entered <- struct{}{}
				<-free
			}
			io.WriteString(w, "done")
		})))
		var wg sync.WaitGroup
		for i := range 2 {
			wg.Go(func() {
				res, body := do(t, s, "GET", "/slow")
				if res.StatusCode != 200 || body != "done" || res.Header.Get("X-Inflight") != strconv.Itoa(i+1) {
					t.Errorf("got %s %q %v", res.Status, body, res.Header)
				}
			})
			<-entered
		}
		for _, method := range []string{"GET", "HEAD", "POST"} {
			res, body := do(t, s, method, "/")
			if res.StatusCode != 503 || res.Header.Get("Retry-After") != "2" || res.Header.Get("X-Inflight") != "2" {
				t.Errorf("%s: %s %v", method, res.Status, res.Header)
			}
			if (body == "") != (method == "HEAD") {
				t.Errorf("%s: body %q", method, body)
			}
		}
		for _, path := range []string{"/livez", "/readyz", "/healthz"} {
			if res, body := do(t, s, "GET", path); res.StatusCode != 200 || body != "done" || res.Header.Get("X-Inflight") != "2" {
				t.Errorf("%s: %s %q %v", path, res.Status, body, res.Header)
			}
		}
		if got, want := a.Stats(), (AdmissionStats{Admitted: 2, Rejected: 3, Exempt: 3, Inflight: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		close(free)
		wg.Wait()
		if res, _ := do(t, s, "GET", "/"); res.StatusCode != 200 || res.Header.Get("X-Inflight") != "1" {
			t.Errorf("got %s %v", res.Status, res.Header)
		}
	})
}

func TestOnlyWholeExemptPathsAreExempt(t *testing.T) {
	l := &fakeLimiter{}
	a := newAdmission(t, AdmissionConfig{Limiter: l, Exempt: []string{"/up"}})
	s := serve(t, a.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	for path, want := range map[string]int{"/up": 200, "/up?full": 200, "/up/": 503, "/upper": 503, "/x/up": 503, "/livez": 503} {
		if res, _ := do(t, s, "GET", path); res.StatusCode != want {
			t.Errorf("%s: %s, want %d", path, res.Status, want)
		}
	}
	none := newAdmission(t, AdmissionConfig{Limiter: l, Exempt: []string{}})
	rec := httptest.NewRecorder()
	none.Wrap(nil).ServeHTTP(rec, httptest.NewRequest("GET", "/livez", nil))
	if rec.Code != 503 {
		t.Errorf("got %d", rec.Code)
	}
}

func TestOnRejectWritesTheAnswer(t *testing.T) {
	a := newAdmission(t, AdmissionConfig{Limiter: &fakeLimiter{}, OnReject: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusTooManyRequests)
		io.WriteString(w, "{}")
	})})
	rec := httptest.NewRecorder()
	a.Wrap(nil).ServeHTTP(rec, httptest.NewRequest("GET", "/", nil))
	if rec.Code != 429 || rec.Body.String() != "{}" || rec.Header().Get("Retry-After") != "1" || rec.Header().Get("X-Inflight") != "0" {
		t.Errorf("got %d %q %v", rec.Code, rec.Body, rec.Header())
	}
}

func TestAPanicOfAHandlerGivesThePlaceBackAndGoesOn(t *testing.T) {
	both(t, 1, func(t *testing.T, c AdmissionConfig, l *fakeLimiter) {
		a := newAdmission(t, c)
		for _, v := range []any{"ouch", http.ErrAbortHandler} {
			func() {
				defer func() {
					if got := recover(); got != v {
						t.Errorf("recovered %v, want %v", got, v)
					}
				}()
				h := a.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(v) }))
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
			}()
		}
		if got := a.Stats(); got.Inflight != 0 || got.Admitted != 2 {
			t.Errorf("got %+v", got)
		}
		if l != nil && (l.free != 1 || !slices.Equal(l.outcomes, []Outcome{Ignore, Ignore})) {
			t.Errorf("%d free after %v", l.free, l.outcomes)
		}
	})
}

func TestStreamsAreFlushed(t *testing.T) {
	both(t, 1, func(t *testing.T, c AdmissionConfig, l *fakeLimiter) {
		a := newAdmission(t, c)
		next := make(chan struct{})
		s := serve(t, a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, "one\n")
			if r.URL.Path == "/controller" {
				if err := http.NewResponseController(w).Flush(); err != nil {
					t.Error(err)
				}
			} else {
				w.(http.Flusher).Flush()
			}
			<-next
			io.WriteString(w, "two\n")
		})))
		for _, path := range []string{"/controller", "/assertion"} {
			res, err := s.Client().Get(s.URL + path)
			if err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(res.Body)
			if !lines.Scan() || lines.Text() != "one" || res.Header.Get("X-Inflight") != "1" {
				t.Errorf("%s: %q %v", path, lines.Text(), res.Header)
			}
			next <- struct{}{}
			if !lines.Scan() || lines.Text() != "two" || lines.Scan() {
				t.Errorf("%s: %q", path, lines.Text())
			}
			res.Body.Close()
		}
		s.Close() // waits for the handlers
		if l != nil && !slices.Equal(l.got(), []Outcome{Ignore, Ignore}) {
			t.Errorf("got %v", l.got())
		}
	})
}

func TestConnectionsAreHijacked(t *testing.T) {
	both(t, 1, func(t *testing.T, c AdmissionConfig, l *fakeLimiter) {
		a := newAdmission(t, c)
		done := make(chan struct{})
		s := serve(t, a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() { done <- struct{}{} }()
			hijack := http.NewResponseController(w).Hijack
			if r.URL.Path == "/assertion" {
				hijack = w.(http.Hijacker).Hijack
			}
			conn, rw, err := hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			rw.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n")
			rw.Flush()
			line, _ := rw.ReadString('\n')
			rw.WriteString(line)
			rw.Flush()
		})))
		for _, path := range []string{"/controller", "/assertion"} {
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n", path)
			br := bufio.NewReader(conn)
			res, err := http.ReadResponse(br, nil)
			if err != nil || res.StatusCode != 101 {
				t.Fatalf("got %v, %v", res, err)
			}
			if got := a.Stats().Inflight; got != 1 {
				t.Errorf("%d in flight during the connection", got)
			}
			fmt.Fprintf(conn, "hello\n")
			if line, err := br.ReadString('\n'); line != "hello\n" {
				t.Errorf("got %q, %v", line, err)
			}
			<-done
			conn.Close()
		}
		s.Close()
		if l != nil && !slices.Equal(l.got(), []Outcome{Ignore, Ignore}) {
			t.Errorf("got %v", l.got())
		}
	})
}

func TestInformationalResponsesPass(t *testing.T) {
	both(t, 1, func(t *testing.T, c AdmissionConfig, l *fakeLimiter) {
		a := newAdmission(t, c)
		s := serve(t, a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</style.css>")
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusTooManyRequests)
		})))
		hints := 0
		ctx := httptrace.WithClientTrace(t.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			if code == http.StatusEarlyHints {
				hints++
			}
			return nil
		}})
		req, _ := http.NewRequestWithContext(ctx, "GET", s.URL, nil)
		res, err := s.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 429 || hints != 1 || res.Header.Get("X-Inflight") != "1" {
			t.Errorf("got %s, %d hints, %v", res.Status, hints, res.Header)
		}
		s.Close()
		if l != nil && !slices.Equal(l.got(), []Outcome{Drop}) {
			t.Errorf("got %v", l.got())
		}
	})
}

func TestOutcomesOfAnswers(t *testing.T) {
	for status, want := range map[int]Outcome{
		0: Success, 200: Success, 204: Success, 301: Success, 404: Success,
		429: Drop, 500: Ignore, 502: Ignore, 503: Drop, 504: Drop,
	} {
		l := &fakeLimiter{free: 1}
		a := newAdmission(t, AdmissionConfig{Limiter: l})
		h := a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if status > 0 {
				w.WriteHeader(status)
			}
		}))
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", "/", nil))
		if !slices.Equal(l.outcomes, []Outcome{want, Ignore}) {
			t.Errorf("%d: %v, want %v, and Ignore when the client is gone", status, l.outcomes, want)
		}
	}
}

// bare can do nothing but what a ResponseWriter must.
type bare struct{ http.ResponseWriter }

func TestTheWrapperPromisesNothingThatIsNotThere(t *testing.T) {
	for _, tt := range []struct {
		name             string
		below            http.ResponseWriter
		flushes, hijacks bool
	}{
		{"bare", bare{httptest.NewRecorder()}, false, false},
		{"flusher", httptest.NewRecorder(), true, false},
	} {
		w := (&response{ResponseWriter: tt.below}).wrapped()
		_, flushes := w.(http.Flusher)
		_, hijacks := w.(http.Hijacker)
		if flushes != tt.flushes || hijacks != tt.hijacks {
			t.Errorf("%s: flushes %t, hijacks %t", tt.name, flushes, hijacks)
		}
		if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
			t.Errorf("%s: Hijack is %v", tt.name, err)
		}
		if err := http.NewResponseController(w).Flush(); errors.Is(err, http.ErrNotSupported) == tt.flushes {
			t.Errorf("%s: Flush is %v", tt.name, err)
		}
	}
}

func TestTheWrapperCopiesAndSetsDeadlines(t *testing.T) {
	l := &fakeLimiter{free: 1}
	a := newAdmission(t, AdmissionConfig{Limiter: l})
	s := serve(t, a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Error(err)
		}
		if _, ok := w.(io.ReaderFrom); !ok {
			t.Error("no ReadFrom")
		}
		io.Copy(w, strings.NewReader("copied"))
	})))
	if _, body := do(t, s, "GET", "/"); body != "copied" {
		t.Errorf("got %q", body)
	}
}

func TestAdmissionConfigSaysAllThatIsWrong(t *testing.T) {
	for _, tt := range []struct {
		c    AdmissionConfig
		want string
	}{
		{AdmissionConfig{}, "flow: NewAdmission: AdmissionConfig.Limit is 0: must be from 1 to 1048576"},
		{
			AdmissionConfig{Limit: -1, RetryAfter: -time.Second, Exempt: []string{"/a", "b"}},
			"flow: NewAdmission: AdmissionConfig.Limit is -1: must be from 1 to 1048576\n" +
				"AdmissionConfig.RetryAfter is -1s: must be from 0s to 24h0m0s\n" +
				"AdmissionConfig.Exempt[1] is \"b\": must begin with /",
		},
		{AdmissionConfig{Limit: 3, Limiter: &fakeLimiter{}}, "flow: NewAdmission: AdmissionConfig.Limit is 3: must be 0 with a Limiter"},
	} {
		if _, err := NewAdmission(tt.c); err == nil || err.Error() != tt.want {
			t.Errorf("got %v, want %s", err, tt.want)
		}
	}
}
