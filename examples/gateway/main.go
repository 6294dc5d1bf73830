// Command gateway is the way in: it takes work over HTTP and publishes it to JetStream, for
// consumers behind it.
//
//	nats-server -js
//	go run ./examples/gateway
//	curl -X POST -H 'Idempotency-Key: 4711' -d '{"total": 12}' http://127.0.0.1:8000/jobs/acme/invoice
//
// 202 means that JetStream has it. It is bounded where it must be: a body in its size,
// what is in flight by an Admission (503), and each tenant by a rate (429), so that one
// that floods is told so here, and not by everybody's waiting.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/flow"
)

const (
	maxBody    = 256 << 10
	maxAtOnce  = 256 // requests
	ackTimeout = 5 * time.Second
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8000", "the address to listen on")
	url := flag.String("nats", nats.DefaultURL, "the URL of NATS")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *listen, *url); err != nil {
		fmt.Fprintln(os.Stderr, "gateway:", err)
		stop()
		os.Exit(1)
	}
}

func run(ctx context.Context, listen, url string) error {
	nc, err := nats.Connect(url, nats.MaxReconnects(-1))
	if err != nil {
		return err
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		return err
	}
	_, err = js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{Name: "JOBS", Subjects: []string{"jobs.>"}})
	if err != nil {
		return err
	}
	handler, err := gateway(js)
	if err != nil {
		return err
	}
	return serve(ctx, &http.Server{Addr: listen, Handler: handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 30 * time.Second})
}

func gateway(js jetstream.JetStream) (http.Handler, error) {
	admission, err := flow.NewAdmission(flow.AdmissionConfig{Limit: maxAtOnce})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("POST /jobs/{tenant}/{kind}", admission.Wrap(publisher{js, newRates()}))
	return mux, nil
}

// publisher publishes the body of each request, and answers when it is stored.
type publisher struct {
	js    jetstream.JetStream
	rates *rates
}

func (p publisher) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	tenant, kind := r.PathValue("tenant"), r.PathValue("kind")
	if !token(tenant) || !token(kind) {
		http.Error(w, "tenant and kind must be tokens of a subject", http.StatusBadRequest)
		return
	}
	if !p.rates.allow(tenant) {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the tenant sends more than it may", http.StatusTooManyRequests)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		status := http.StatusBadRequest
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			status = http.StatusRequestEntityTooLarge
		}
		http.Error(w, "the body cannot be read: "+err.Error(), status)
		return
	}
	msg := nats.NewMsg("jobs." + tenant + "." + kind)
	msg.Data = body
	if key := r.Header.Get("Idempotency-Key"); key != "" {
		msg.Header.Set(nats.MsgIdHdr, tenant+":"+key) // JetStream drops the second of two
	}
	ctx, cancel := context.WithTimeout(r.Context(), ackTimeout)
	defer cancel()
	if _, err := p.js.PublishMsg(ctx, msg); err != nil {
		w.Header().Set("Retry-After", "1")
		http.Error(w, "not stored: send it again with the same Idempotency-Key", http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusAccepted)
}

// token reports whether s is one token of a subject, and the name of a tenant.
func token(s string) bool {
	return consumer.ValidTenant(s) && !strings.ContainsAny(s, ".*> \t")
}

// serve serves until ctx ends, and then finishes what it has taken.
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
	return server.Shutdown(drain)
}
