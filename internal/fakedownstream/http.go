package fakedownstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// ServeHTTP serves /fault and /stats, see the package; every other request is a call.
func (d *Downstream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/fault":
		d.serveFault(w, r)
	case "/stats":
		if allow(w, r, http.MethodGet) {
			writeJSON(w, d.Stats())
		}
	default:
		d.serveCall(w, r)
	}
}

func (d *Downstream) serveCall(w http.ResponseWriter, r *http.Request) {
	// Unread, the end of the connection would not end the context.
	_, _ = io.Copy(io.Discard, r.Body)
	switch err := d.Call(r.Context()); {
	case err == nil:
		_, _ = io.WriteString(w, "ok\n")
	case errors.Is(err, ErrOverloaded):
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(d.cfg.RetryAfter.Seconds()))))
		http.Error(w, err.Error(), http.StatusTooManyRequests)
	case errors.Is(err, ErrFailed):
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default: // dead, or nobody is there any more
		panic(http.ErrAbortHandler) // how net/http closes a connection without an answer
	}
}

func (d *Downstream) serveFault(w http.ResponseWriter, r *http.Request) {
	if !allow(w, r, http.MethodGet, http.MethodPost) {
		return
	}
	if r.Method == http.MethodPost {
		err := r.ParseForm()
		var f Fault
		if err == nil {
			f, err = parseFault(r.Form)
		}
		if err == nil {
			err = d.SetFault(f)
		}
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
	}
	writeJSON(w, map[string]string{"fault": d.Fault().String()})
}

func allow(w http.ResponseWriter, r *http.Request, methods ...string) bool {
	if slices.Contains(methods, r.Method) {
		return true
	}
	w.Header().Set("Allow", strings.Join(methods, ", "))
	http.Error(w, r.Method+" is not for "+r.URL.Path, http.StatusMethodNotAllowed)
	return false
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client is gone; there is nobody to tell
}

// Server is a Downstream on a port.
type Server struct {
	server *http.Server
	addr   string
	leave  context.CancelFunc
	ended  chan struct{}
}

const (
	headerTimeout = 5 * time.Second
	closeTimeout  = 2 * time.Second
)

// Start serves d at addr, like 127.0.0.1:0, until Close.
func Start(addr string, d *Downstream) (*Server, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("fakedownstream: %w", err)
	}
	calls, leave := context.WithCancel(context.Background())
	s := &Server{addr: listener.Addr().String(), leave: leave, ended: make(chan struct{}), server: &http.Server{
		Handler:           d,
		ReadHeaderTimeout: headerTimeout,
		BaseContext:       func(net.Listener) context.Context { return calls },
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}}
	go func() {
		defer close(s.ended)
		_ = s.server.Serve(listener) // ErrServerClosed: Close is the only end
	}()
	return s, nil
}

// URL is where it is.
func (s *Server) URL() string { return "http://" + s.addr }

// Close ends it. Callers that wait see their connections close.
func (s *Server) Close() {
	s.leave()
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if s.server.Shutdown(ctx) != nil {
		_ = s.server.Close() // of what is left
	}
	<-s.ended
}
