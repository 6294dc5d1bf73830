package story

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/flow"
)

// jobID is the header of a message that says which job it is. Copies of a message keep it.
const jobID = "Job-Id"

const (
	maxBody        = 64 << 10
	publishTimeout = 5 * time.Second
)

// A gateway takes jobs over HTTP and puts them into JetStream:
//
//	202  the job is stored, and will be done
//	503  this tenant has too many requests here, see Retry-After; or it could not be stored
//
// Each tenant has an admission of its own, so that the flood of one gets refusals and the
// others do not notice. A refusal costs next to nothing: it comes before the request is
// read.
type gateway struct {
	js       jetstream.JetStream
	doors    map[string]*flow.Admission // by tenant
	accepted func(id string)            // is called when a job is stored
}

func newGateway(js jetstream.JetStream, accepted func(id string)) (*gateway, error) {
	g := &gateway{js: js, doors: make(map[string]*flow.Admission), accepted: accepted}
	for _, tenant := range tenants {
		door, err := flow.NewAdmission(flow.AdmissionConfig{Limit: checkedAtOnce})
		if err != nil {
			return nil, err
		}
		g.doors[tenant] = door
	}
	return g, nil
}

// handler serves POST /jobs/TENANT/invoice.
func (g *gateway) handler() http.Handler {
	mux := http.NewServeMux()
	for tenant, door := range g.doors {
		mux.Handle("POST /jobs/"+tenant+"/invoice", door.Wrap(g.accept(tenant)))
	}
	return mux
}

// accept checks a job and stores it. The client's Idempotency-Key is the message's id, so
// that a job which it posts again is stored once.
func (g *gateway) accept(tenant string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := r.Header.Get("Idempotency-Key")
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
		if id == "" || err != nil {
			http.Error(w, "an Idempotency-Key and at most 64 KiB are needed", http.StatusBadRequest)
			return
		}
		if !check(r.Context()) {
			return // the client is gone
		}
		if err := g.publish(r.Context(), tenant, id, body); err != nil {
			w.Header().Set("Retry-After", "1")
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		g.accepted(id)
		w.WriteHeader(http.StatusAccepted)
	}
}

// check stands for what a gateway does with a request.
func check(ctx context.Context) bool {
	timer := time.NewTimer(checking)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// publish returns nil when the job is stored. It goes on when the client goes away: the
// answer of JetStream is awaited, so that it is known what became of the job.
func (g *gateway) publish(ctx context.Context, tenant, id string, body []byte) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	_, err := g.js.PublishMsg(ctx, &nats.Msg{
		Subject: "jobs." + tenant + ".invoice",
		Header:  nats.Header{jobID: {id}},
		Data:    body,
	}, jetstream.WithMsgID(id))
	if err != nil {
		return fmt.Errorf("the job could not be stored: %w", err)
	}
	return nil
}
