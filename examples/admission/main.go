// Command admission is a reverse proxy that lets as many requests through at once as its
// backend serves well, and answers the others with 503 and Retry-After:
//
//	go run ./examples/admission --listen 127.0.0.1:8080 --to http://127.0.0.1:9000
//
// How many that are nobody configures: a limiter finds it, and follows the backend when it
// becomes slower or faster.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spillwaymq/spillway/flow"
	"github.com/spillwaymq/spillway/limiter"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the address to listen on")
	to := flag.String("to", "http://127.0.0.1:9000", "the URL of the backend")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *to); err != nil {
		fmt.Fprintln(os.Stderr, "admission:", err)
		stop()
		os.Exit(1)
	}
}

// run serves until ctx ends, and then finishes what it has admitted.
func run(ctx context.Context, listen, to string) error {
	backend, err := url.Parse(to)
	if err != nil {
		return err
	}
	l, err := limiter.New(limiter.Config{
		Brake: 5 * time.Second, // slower than that is overload, whatever else it is
		OnChange: func(c limiter.Change) {
			slog.Info("limit", "old", c.Old, "new", c.New, "why", c.Why)
		},
	})
	if err != nil {
		return err
	}
	admission, err := admit(l)
	if err != nil {
		return err
	}
	server := &http.Server{Addr: listen, Handler: admission.Wrap(proxy(backend)), ReadHeaderTimeout: 10 * time.Second}
	return serve(ctx, server)
}

// admit returns an Admission in which l decides, and learns from every response: served,
// overloaded (429, 503, 504), or neither.
func admit(l *limiter.Limiter) (*flow.Admission, error) {
	return flow.NewAdmission(flow.AdmissionConfig{
		Limiter: flow.LimiterFunc(func() (func(flow.Outcome), bool) {
			permit, ok := l.TryAcquire()
			return func(o flow.Outcome) { permit.Release(limiter.Outcome(o)) }, ok
		}),
	})
}

func proxy(backend *url.URL) http.Handler {
	return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(backend)
		r.SetXForwarded()
	}}
}

func serve(ctx context.Context, server *http.Server) error {
	ended := make(chan error, 1)
	go func() { ended <- server.ListenAndServe() }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	drain, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
	defer cancel()
	err := server.Shutdown(drain)
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		return errors.Join(err, served)
	}
	return err
}
