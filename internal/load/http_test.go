package load_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/internal/load"
)

func httpTarget(t *testing.T, c load.HTTPConfig) *load.HTTP {
	t.Helper()
	h, err := load.NewHTTP(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.Close)
	return h
}

func TestHTTPSendsWhatItIsTold(t *testing.T) {
	var mu sync.Mutex
	tenants, wrong := map[string]int{}, ""
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		tenants[r.URL.Path]++
		if r.Method != http.MethodPost || string(body) != "hello" || r.Header.Get("X-Tenant") != strings.TrimPrefix(r.URL.Path, "/of/") {
			wrong = r.Method + " " + string(body) + " " + r.Header.Get("X-Tenant")
		}
	}))
	defer server.Close()
	r := runner(t, load.Config{Stages: parsed(t, "1000/s:200ms"), Tenants: load.Tenants{Names: []string{"a", "b c"}}})
	h := httpTarget(t, load.HTTPConfig{URL: server.URL + "/of/{tenant}", Body: []byte("hello"), Header: http.Header{"X-Tenant": {"{tenant}"}}})
	res := r.Run(t.Context(), h)
	balanced(t, res)
	mu.Lock()
	defer mu.Unlock()
	if res.OK != 200 || wrong != "" || len(tenants) != 2 || tenants["/of/b c"] == 0 {
		t.Errorf("%+v, tenants %v, wrong: %s, failures: %v", res.Account, tenants, wrong, res.Failures)
	}
}

// Two bursts of fifty at once need fifty connections, not a hundred.
func TestConnectionsAreKeptForTheNextBurst(t *testing.T) {
	const burst = 50
	var mu sync.Mutex
	connections, waiting, all := 0, 0, make(chan struct{})
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		waiting++
		here := all
		if waiting == burst { // the last of a burst lets all go
			close(all)
			waiting, all = 0, make(chan struct{})
		}
		mu.Unlock()
		<-here
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		mu.Lock()
		defer mu.Unlock()
		if s == http.StateNew {
			connections++
		}
	}
	server.Start()
	defer server.Close()
	h := httpTarget(t, load.HTTPConfig{URL: server.URL})
	r := runner(t, load.Config{Stages: parsed(t, "10000/s:5ms"), Timeout: time.Minute})
	for range 2 {
		res := r.Run(t.Context(), h)
		balanced(t, res)
		if res.OK != burst || res.MaxInFlight != burst {
			t.Fatalf("%+v, %d in flight, failures: %v", res.Account, res.MaxInFlight, res.Failures)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if connections > burst+burst/5 { // one that is being opened when another comes back is not needed
		t.Errorf("%d connections were opened for two bursts of %d", connections, burst)
	}
}

func TestStatusesOtherThan2xxAreFailures(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Tenant") {
		case "busy":
			w.WriteHeader(http.StatusServiceUnavailable)
		case "moved":
			http.Redirect(w, r, "/elsewhere", http.StatusFound)
		}
	}))
	defer server.Close()
	r := runner(t, load.Config{Stages: parsed(t, "300/s:200ms"), Tenants: load.Tenants{Names: []string{"busy", "moved", "fine"}}})
	res := r.Run(t.Context(), httpTarget(t, load.HTTPConfig{URL: server.URL, Header: http.Header{"Tenant": {"{tenant}"}}}))
	balanced(t, res)
	seen := map[string]bool{}
	for _, f := range res.Failures {
		seen[f.Error] = true
	}
	if len(seen) != 2 || !seen["status 503 Service Unavailable"] || !seen["status 302 Found"] || res.OK == 0 {
		t.Errorf("%+v, failures: %v", res.Account, res.Failures)
	}
}

func TestAServerThatRefusesStallsOrVanishesIsTold(t *testing.T) {
	for name, tt := range map[string]struct {
		serve func(t *testing.T, l net.Listener)
		want  []string // one of these is what most requests fail with
	}{
		"refuses": {func(_ *testing.T, l net.Listener) { l.Close() }, []string{"refused"}},
		"stalls":  {func(*testing.T, net.Listener) {}, []string{"not done within 200ms"}},
		"vanishes": {func(t *testing.T, l net.Listener) {
			accept(t, l, func(c net.Conn) { c.Close() })
		}, []string{"EOF", "reset", "broken", "closed"}},
		"breaks off": {func(t *testing.T, l net.Listener) {
			accept(t, l, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
				c.Close()
			})
		}, []string{"EOF", "reset"}},
		"speaks otherwise": {func(t *testing.T, l net.Listener) {
			accept(t, l, func(c net.Conn) {
				_, _ = c.Read(make([]byte, 4096))
				_, _ = io.WriteString(c, "220 mail.example.com\r\n")
				c.Close()
			})
		}, []string{"malformed"}},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			tt.serve(t, l)
			r := runner(t, load.Config{Stages: parsed(t, "200/s:200ms"), Timeout: 200 * time.Millisecond})
			res := r.Run(t.Context(), httpTarget(t, load.HTTPConfig{URL: "http://" + l.Addr().String()}))
			balanced(t, res)
			if res.OK != 0 || res.Valid() || len(res.Failures) == 0 || len(res.Failures) > 3 {
				t.Fatalf("%+v, valid: %t, failures: %v", res.Account, res.Valid(), res.Failures)
			}
			for _, want := range tt.want {
				if strings.Contains(res.Failures[0].Error, want) {
					return
				}
			}
			t.Errorf("failures are %v, want one of %q", res.Failures, tt.want)
		})
	}
}

// accept serves connections until the listener is closed, which the test does.
func accept(t *testing.T, l net.Listener, serve func(net.Conn)) {
	var all sync.WaitGroup
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { serve(c) })
		}
	})
	t.Cleanup(func() { l.Close(); all.Wait() })
}

func TestHTTPConfigMistakesAreNamed(t *testing.T) {
	_, err := load.NewHTTP(load.HTTPConfig{URL: "ftp://x", Method: "GE T", Connections: -1})
	for _, want := range []string{"URL is \"ftp://x\"", "Method is \"GE T\"", "Connections is -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v does not say %q", err, want)
		}
	}
}
