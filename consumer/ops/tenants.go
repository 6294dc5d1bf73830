package ops

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

// Tenants is a Worker whose tenants can be changed while it runs: a *consumer.Consumer. With
// another Worker the paths of tenants do not exist.
type Tenants interface {
	Tenant(name string) consumer.TenantState
	SetTenant(ctx context.Context, tenant string, p consumer.TenantPatch, ttl time.Duration) error
	ResetTenant(ctx context.Context, tenant string) error
}

const (
	maxPatch     = 16 << 10         // bytes of the body of a change
	changeWithin = 15 * time.Second // until a change is given up
	retryAfter   = "5"              // seconds after which to ask again, if NATS is away
)

// serveTenants adds the paths of tenants.
func (s *server) serveTenants(mux *http.ServeMux, t Tenants) {
	mux.Handle("GET /api/v1/tenants", s.guard.protect(http.HandlerFunc(s.listTenants)))
	one := func(f func(w http.ResponseWriter, r *http.Request, tenant string)) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			tenant := r.PathValue("tenant")
			if !consumer.ValidTenant(tenant) {
				http.Error(w, fmt.Sprintf("tenant %.64q cannot be, must be at most %d bytes of UTF-8 without control characters", tenant, consumer.MaxTenantBytes), http.StatusBadRequest)
				return
			}
			f(w, r, tenant)
		})
	}
	const path = " /api/v1/tenants/{tenant}"
	mux.Handle("GET"+path, s.guard.protect(one(func(w http.ResponseWriter, _ *http.Request, tenant string) {
		s.answer(w, t.Tenant(tenant))
	})))
	mux.Handle("PATCH"+path, s.guard.protectChanges(one(func(w http.ResponseWriter, r *http.Request, tenant string) {
		s.patchTenant(w, r, t, tenant)
	})))
	mux.Handle("DELETE"+path, s.guard.protectChanges(one(func(w http.ResponseWriter, r *http.Request, tenant string) {
		s.change(w, r, t, tenant, "reset", t.ResetTenant)
	})))
}

func (s *server) listTenants(w http.ResponseWriter, _ *http.Request) {
	tenants := s.worker.Snapshot().Tenants
	if tenants == nil {
		tenants = []consumer.TenantState{}
	}
	s.answer(w, tenants)
}

func (s *server) patchTenant(w http.ResponseWriter, r *http.Request, t Tenants, tenant string) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPatch))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		http.Error(w, fmt.Sprintf("the body has more than %d bytes", maxPatch), http.StatusRequestEntityTooLarge)
		return
	}
	if err != nil {
		http.Error(w, "the body cannot be read: "+err.Error(), http.StatusBadRequest)
		return
	}
	patch, ttl, err := parsePatch(body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	s.change(w, r, t, tenant, string(body), func(ctx context.Context, tenant string) error {
		return t.SetTenant(ctx, tenant, patch, ttl)
	})
}

// change makes a change, logs who did, and answers with what the tenant is like then.
func (s *server) change(w http.ResponseWriter, r *http.Request, t Tenants, tenant, what string, do func(context.Context, string) error) {
	ctx, cancel := context.WithTimeout(r.Context(), changeWithin)
	defer cancel()
	if err := do(ctx, tenant); err != nil {
		status := statusOf(err)
		if status == http.StatusServiceUnavailable {
			w.Header().Set("Retry-After", retryAfter)
		}
		s.log.Warn("a change of a tenant failed", "tenant", tenant, "change", what, "from", r.RemoteAddr, "error", err)
		http.Error(w, inKeys(err), status)
		return
	}
	s.log.Info("a tenant was changed", "tenant", tenant, "change", what, "from", r.RemoteAddr)
	s.answer(w, t.Tenant(tenant))
}

// statusOf says whose fault it is: that of who asks, the state of things, or NATS.
func statusOf(err error) int {
	switch {
	case errors.Is(err, consumer.ErrPatch):
		return http.StatusBadRequest
	case errors.Is(err, consumer.ErrLivePolicyOff), errors.Is(err, consumer.ErrTooManyOverrides), errors.Is(err, consumer.ErrOverrideConflict):
		return http.StatusConflict
	}
	return http.StatusServiceUnavailable
}

// keys are the fields of a patch as the body names them.
var keys = strings.NewReplacer(
	"consumer: ", "",
	"patch.Paused", "paused", "patch.Weight", "weight", "patch.MaxInFlight", "max_in_flight",
	"patch.Rate.Events", "rate", "patch.Rate.Per", "rate", "patch.Rate.Burst", "rate", "patch.Rate", "rate",
)

// inKeys is an error in the words of the body.
func inKeys(err error) string { return keys.Replace(err.Error()) }

// answer writes v, which is encoded first, so that what cannot be is an error and not half
// an answer.
func (s *server) answer(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		s.log.Error("an answer cannot be encoded", "error", err)
		http.Error(w, "the answer cannot be encoded; see the log", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n')) // the client went away, or it did not
}
