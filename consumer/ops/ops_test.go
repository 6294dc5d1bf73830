package ops_test

import (
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/ops"
)

var _ ops.Worker = (*consumer.Consumer)(nil)

// worker is a consumer in a state that a test makes up.
type worker struct {
	state  consumer.Snapshot
	ready  error
	refuse error
	events consumer.Observer
}

func (w *worker) Ready() error                { return w.ready }
func (w *worker) Snapshot() consumer.Snapshot { return w.state }

func (w *worker) Observe(o consumer.Observer) error {
	w.events = o
	return w.refuse
}

func running() *worker {
	return &worker{state: consumer.Snapshot{
		At: time.Unix(1_000_000, 0), Stream: "JOBS", Durable: "worker", State: consumer.StateRunning, Workers: 2,
	}}
}

const (
	local  = "127.0.0.1:8080"
	public = "0.0.0.0:8080"
	token  = "s3cret"
)

func serve(t *testing.T, cfg ops.Config) http.Handler {
	t.Helper()
	if cfg.Consumer == nil {
		cfg.Consumer = running()
	}
	h, err := ops.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// get asks as somebody who names localhost, unless a header or the host is changed.
func get(h http.Handler, path string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", path, nil)
	r.Host = "localhost:8080"
	for _, f := range change {
		f(r)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func host(name string) func(*http.Request) {
	return func(r *http.Request) { r.Host = name }
}

func wantStatus(t *testing.T, rec *httptest.ResponseRecorder, status int, text string) {
	t.Helper()
	if rec.Code != status || !strings.Contains(rec.Body.String(), text) {
		t.Errorf("answered %d %q, want %d and something with %q", rec.Code, rec.Body, status, text)
	}
}

func TestReadyzSaysWhyNot(t *testing.T) {
	w := running()
	h := serve(t, ops.Config{Consumer: w})
	wantStatus(t, get(h, "/readyz"), 200, "ok")
	w.ready = errors.New("NATS is <away>")
	wantStatus(t, get(h, "/readyz"), 503, "NATS is <away>")
	if got := get(h, "/readyz").Header().Get("Content-Type"); !strings.HasPrefix(got, "text/plain") {
		t.Errorf("content type %q", got)
	}
}

func TestLivezFailsWhenTheConsumerHasStopped(t *testing.T) {
	w := running()
	h := serve(t, ops.Config{Consumer: w})
	for _, state := range []consumer.State{consumer.StateNew, consumer.StateStarting, consumer.StateRunning, consumer.StateDraining} {
		w.state.State = state
		wantStatus(t, get(h, "/livez"), 200, "ok")
	}
	w.state.State = consumer.StateStopped
	wantStatus(t, get(h, "/livez"), 503, "has stopped")
}

func TestLivezDoesNotFailForWhatARestartCannotHelp(t *testing.T) {
	w := running()
	w.ready = errors.New("NATS is away")
	w.state.NotReady = "NATS is away"
	wantStatus(t, get(serve(t, ops.Config{Consumer: w}), "/livez"), 200, "ok")
}

func TestLivezFailsWhenAllWorkersAreStuckForLong(t *testing.T) {
	w := running()
	h := serve(t, ops.Config{Consumer: w})
	at := func(d time.Duration, stuck, status int) {
		t.Helper()
		w.state.At, w.state.Stuck = time.Unix(1_000_000, 0).Add(d), stuck
		wantStatus(t, get(h, "/livez"), status, "")
	}
	at(0, 2, 200)
	at(29*time.Second, 2, 200)
	at(30*time.Second, 1, 200) // one came back
	at(31*time.Second, 2, 200)
	at(60*time.Second, 2, 200)
	at(61*time.Second, 2, 503)
	wantStatus(t, get(h, "/livez"), 503, "all 2 workers have been stuck for 30s")
	w.state.State = consumer.StateDraining
	wantStatus(t, get(h, "/livez"), 200, "ok")
}

func TestStateIsTheSnapshot(t *testing.T) {
	w := running()
	w.state.Tenants = []consumer.TenantState{{Tenant: "<script>", Queued: 3}}
	rec := get(serve(t, ops.Config{Consumer: w, Listen: local}), "/api/v1/state")
	if rec.Code != 200 || rec.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("answered %d, %v", rec.Code, rec.Header())
	}
	var got consumer.Snapshot
	if err := json.NewDecoder(rec.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	if got.Stream != "JOBS" || got.Tenants[0].Tenant != "<script>" || got.Tenants[0].Queued != 3 {
		t.Errorf("state %+v", got)
	}
}

func TestAStateThatCannotBeEncodedIsAnError(t *testing.T) {
	w := running()
	w.state.Tenants = []consumer.TenantState{{Weight: math.NaN()}}
	wantStatus(t, get(serve(t, ops.Config{Consumer: w, Listen: local}), "/api/v1/state"), 500, "cannot be encoded")
}

func TestWhoMaySeeTheState(t *testing.T) {
	basic := func(r *http.Request) { r.SetBasicAuth("anybody", token) }
	none := func(*http.Request) {}
	for _, tt := range []struct {
		name, listen, token string
		ask                 func(*http.Request)
		want                int
	}{
		{"a user of the machine", local, "", none, 200},
		{"a user of the machine, where there is a token", local, token, none, 200},
		{"a page that leads its name to 127.0.0.1", local, "", host("evil.example:8080"), 403},
		{"the same, where there is a token", local, token, host("evil.example"), 401},
		{"a proxy with the token", local, token, func(r *http.Request) { host("ops.example")(r); bearer(token)(r) }, 200},
		{"IPv6", "[::1]:8080", "", host("[::1]:8080"), 200},
		{"a name with a dot at its end", "localhost.:8080", "", host("LOCALHOST"), 200},
		{"everybody", public, "", none, 403},
		{"everybody, with a token that is not configured", public, "", bearer(""), 403},
		{"everybody, where an address is not said", "", "", none, 403},
		{"everybody, by port", ":8080", "", none, 403},
		{"everybody, by a name", "worker.example:8080", "", none, 403},
		{"nobody", public, token, none, 401},
		{"a wrong token", public, token, bearer("s3cre"), 401},
		{"an empty token", public, token, bearer(""), 401},
		{"a longer token", public, token, bearer(token + "x"), 401},
		{"the token as a bearer", public, token, bearer(token), 200},
		{"the token, in another spelling of bearer", public, token, func(r *http.Request) { r.Header.Set("Authorization", "bearer  "+token) }, 200},
		{"the token as a password", public, token, basic, 200},
		{"the token as a user", public, token, func(r *http.Request) { r.SetBasicAuth(token, "") }, 401},
		{"the token without a scheme", public, token, func(r *http.Request) { r.Header.Set("Authorization", token) }, 401},
		{"the token in the URL", public, token, func(r *http.Request) { r.URL.RawQuery = "token=" + token }, 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := serve(t, ops.Config{Listen: tt.listen, Token: tt.token})
			rec := get(h, "/api/v1/state", tt.ask)
			if rec.Code != tt.want {
				t.Errorf("answered %d %s, want %d", rec.Code, rec.Body, tt.want)
			}
			asked := strings.Join(rec.Header().Values("WWW-Authenticate"), " ")
			if (rec.Code == 401) != (strings.Contains(asked, "Bearer") && strings.Contains(asked, "Basic")) {
				t.Errorf("answered %d with WWW-Authenticate %q", rec.Code, asked)
			}
		})
	}
}

func TestHealthAndMetricsAreOpenToAll(t *testing.T) {
	m := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "spillway_workers 2\n") })
	h := serve(t, ops.Config{Listen: public, Token: token, Metrics: m})
	for _, path := range []string{"/metrics", "/livez", "/readyz"} {
		wantStatus(t, get(h, path, host("10.0.0.7:8080")), 200, "")
	}
	wantStatus(t, get(h, "/metrics"), 200, "spillway_workers 2")
}

func TestMetricsThatAreNotGivenDoNotExist(t *testing.T) {
	wantStatus(t, get(serve(t, ops.Config{}), "/metrics"), 404, "")
	if got := get(serve(t, ops.Config{Listen: local}), "/").Body.String(); strings.Contains(got, "metrics") {
		t.Errorf("the page links to metrics that are not served:\n%s", got)
	}
}

func TestWhatThePageNamesIsServed(t *testing.T) {
	h := serve(t, ops.Config{Listen: public, Token: token, Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})})
	rec := get(h, "/", host("10.0.0.7:8080"), bearer(token))
	if got := rec.Header().Get("Content-Type"); rec.Code != 200 || got != "text/html; charset=utf-8" {
		t.Fatalf("answered %d of %q", rec.Code, got)
	}
	var paths []string
	for _, l := range regexp.MustCompile(`(?:href|src)="([^"#]+)"`).FindAllStringSubmatch(rec.Body.String(), -1) {
		if strings.HasPrefix(l[1], "/") || strings.Contains(l[1], ":") {
			t.Errorf("it names %q: under a prefix that is somewhere else", l[1])
		}
		paths = append(paths, l[1])
		wantStatus(t, get(h, "/"+l[1], bearer(token)), 200, "")
	}
	for _, want := range []string{"livez", "readyz", "api/v1/state", "metrics", "assets/style.css", "assets/js/main.js"} {
		if !slices.Contains(paths, want) {
			t.Errorf("it does not name %q: %q", want, paths)
		}
	}
	for _, path := range []string{"/nowhere", "/index.html", "//", "/assets", "/assets/", "/assets/js", "/assets/index.html", "/assets/../ops.go"} {
		if rec := get(h, path, bearer(token)); rec.Code == 200 {
			t.Errorf("%s answered %d", path, rec.Code)
		}
	}
}

func TestThePageIsForThoseWhoMaySeeTheState(t *testing.T) {
	h := serve(t, ops.Config{Listen: public, Token: token})
	for _, path := range []string{"/", "/assets/style.css", "/api/v1/state", "/api/v1/events"} {
		wantStatus(t, get(h, path), 401, "the token is needed")
	}
}

func TestABrowserKeepsTheFilesOfThePageWhileTheyAreTheSame(t *testing.T) {
	h := serve(t, ops.Config{Listen: local})
	tag := get(h, "/assets/js/main.js").Header().Get("ETag")
	rec := get(h, "/assets/js/main.js", func(r *http.Request) { r.Header.Set("If-None-Match", tag) })
	if tag == "" || rec.Code != 304 || rec.Body.Len() > 0 {
		t.Errorf("asked again with %s it answered %d and %d bytes", tag, rec.Code, rec.Body.Len())
	}
}

func TestOtherMethodsAreRefused(t *testing.T) {
	h := serve(t, ops.Config{Listen: local, Metrics: http.NotFoundHandler()})
	for _, path := range []string{"/", "/assets/style.css", "/metrics", "/livez", "/readyz", "/api/v1/state", "/api/v1/events"} {
		for _, method := range []string{"POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"} {
			rec := get(h, path, func(r *http.Request) { r.Method = method })
			if rec.Code != 405 || rec.Header().Get("Allow") != "GET, HEAD" {
				t.Errorf("%s %s: %d, Allow %q", method, path, rec.Code, rec.Header().Get("Allow"))
			}
		}
	}
	wantStatus(t, get(h, "/livez", func(r *http.Request) { r.Method = "HEAD" }), 200, "")
}

func TestEveryAnswerIsGuardedAgainstBrowsersAndCaches(t *testing.T) {
	h := serve(t, ops.Config{Listen: local})
	const nothing, own = "default-src 'none'; frame-ancestors 'none'", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
	for _, tt := range []struct{ path, cache, policy string }{
		{"/", "no-cache", own},
		{"/assets/style.css", "no-cache", nothing},
		{"/livez", "no-store", nothing},
		{"/readyz", "no-store", nothing},
		{"/api/v1/state", "no-store", nothing},
		{"/nowhere", "no-store", nothing},
	} {
		for name, want := range map[string]string{
			"Cache-Control":                tt.cache,
			"X-Content-Type-Options":       "nosniff",
			"X-Frame-Options":              "DENY",
			"Referrer-Policy":              "no-referrer",
			"Cross-Origin-Resource-Policy": "same-origin",
			"Content-Security-Policy":      tt.policy,
		} {
			if got := get(h, tt.path).Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", tt.path, name, got, want)
			}
		}
	}
}

func TestAConsumerThatCannotBeObservedIsRefused(t *testing.T) {
	w := running()
	w.refuse = errors.New("it runs already")
	if _, err := ops.New(ops.Config{Consumer: w}); err == nil || !strings.Contains(err.Error(), "it runs already") {
		t.Errorf("error %v", err)
	}
}

func TestAWrongConfigIsRefusedWithoutTellingTheToken(t *testing.T) {
	_, err := ops.New(ops.Config{Token: "s3cret\n", Listen: "8080"})
	for _, want := range []string{"Consumer is required", "Token has a character at byte 6", `Listen is "8080", must be host:port`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want something with %q", err, want)
		}
	}
	if strings.Contains(err.Error(), token) {
		t.Errorf("the token is in %v", err)
	}
}

func TestItServesOverTheNetwork(t *testing.T) {
	s := httptest.NewServer(serve(t, ops.Config{Listen: local}))
	defer s.Close()
	resp, err := http.Get(s.URL + "/api/v1/state")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != 200 {
		t.Errorf("answered %s", resp.Status)
	}
}
