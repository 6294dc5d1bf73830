package flow

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
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
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// answer is a response that was read.
type answer struct {
	status int
	header http.Header
	body   string
}

func do(t *testing.T, s *httptest.Server, method, path string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
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
				if got := do(t, s, "GET", "/slow"); got.status != 200 || got.body != "done" || got.header.Get("X-Inflight") != strconv.Itoa(i+1) {
					t.Errorf("got %v", got)
				}
			})
			<-entered
		}
		for _, method := range []string{"GET", "HEAD", "POST"} {
			got := do(t, s, method, "/")
			if got.status != 503 || got.header.Get("Retry-After") != "2" || got.header.Get("X-Inflight") != "2" {
				t.Errorf("%s: %v", method, got)
			}
			if (got.body == "") != (method == "HEAD") {
				t.Errorf("%s: body %q", method, got.body)
			}
		}
		for _, path := range []string{"/livez", "/readyz", "/healthz"} {
			if got := do(t, s, "GET", path); got.status != 200 || got.body != "done" || got.header.Get("X-Inflight") != "2" {
				t.Errorf("%s: %v", path, got)
			}
		}
		if got, want := a.Stats(), (AdmissionStats{Admitted: 2, Rejected: 3, Exempt: 3, Inflight: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		close(free)
		wg.Wait()
		if got := do(t, s, "GET", "/"); got.status != 200 || got.header.Get("X-Inflight") != "1" {
			t.Errorf("got %v", got)
		}
	})
}

func TestOnlyWholeExemptPathsAreExempt(t *testing.T) {
	l := &fakeLimiter{}
	a := newAdmission(t, AdmissionConfig{Limiter: l, Exempt: []string{"/up"}})
	s := serve(t, a.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	for path, want := range map[string]int{"/up": 200, "/up?full": 200, "/up/": 503, "/upper": 503, "/x/up": 503, "/livez": 503} {
		if got := do(t, s, "GET", path); got.status != want {
			t.Errorf("%s: %v, want %d", path, got, want)
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
