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
	"strings"
	"testing"
	"time"
)

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
		h := a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
		}))
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			done <- struct{}{}
		}))
		for _, path := range []string{"/controller", "/assertion"} {
			conn, err := net.Dial("tcp", s.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n", path)
			br := bufio.NewReader(conn)
			if line, err := textproto.NewReader(br).ReadLine(); line != "HTTP/1.1 101 Switching Protocols" {
				t.Fatalf("got %q, %v", line, err)
			}
			if _, err := textproto.NewReader(br).ReadMIMEHeader(); err != nil {
				t.Fatal(err)
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
		{"flusher below", plain{httptest.NewRecorder()}, true, false},
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

// plain hides all of what it wraps but for http.ResponseController, as middleware does.
type plain struct{ http.ResponseWriter }

func (p plain) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func TestAHijackBelowOtherMiddlewareIsSeen(t *testing.T) {
	l := &fakeLimiter{free: 1}
	h := newAdmission(t, AdmissionConfig{Limiter: l}).Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		conn.Close()
	}))
	done := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(plain{w}, r)
		close(done)
	}))
	if res, err := s.Client().Get(s.URL); err == nil {
		res.Body.Close()
		t.Errorf("got %s of a connection that was taken over", res.Status)
	}
	<-done
	if !slices.Equal(l.got(), []Outcome{Ignore}) {
		t.Errorf("got %v, want Ignore: the time of a connection is not one of service", l.got())
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
	if got := do(t, s, "GET", "/"); got.body != "copied" {
		t.Errorf("got %v", got)
	}
}
