package lag_test

import (
	"slices"
	"testing"
	"testing/synctest"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/lag"
	"github.com/spillwaymq/spillway/internal/envelope"
)

func TestOverflowIsToldByTenant(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHouse(t, jetstream.LimitsPolicy)
		for spill, n := range map[envelope.Spill]int{
			{Downstream: "billing", Tenant: "acme"}:                3,
			{Downstream: "mail", Tenant: "acme"}:                   1,
			{Downstream: "mail", Tenant: "acme", Front: true}:      1,
			{Downstream: "billing", Tenant: envelope.Token("a b")}: 1,
		} {
			for range n {
				h.publish(spill.Subject("JOBS_OVERFLOW", "worker"), nil)
			}
		}
		h.publish(envelope.Spill{Downstream: "billing", Tenant: "acme"}.Subject("JOBS_OVERFLOW", "another"), nil)
		r := h.read(lag.Config{})
		want := []lag.TenantCount{{Tenant: "acme", Messages: 5}, {Tenant: "a b", Messages: 1}}
		if o := r.Overflow; o.Messages != 6 || o.Queues != 3 || !slices.Equal(o.Tenants, want) || o.Missing != "" {
			t.Errorf("overflow %+v", o)
		}
		if r.Backlog != 6 {
			t.Errorf("backlog %d, want 6", r.Backlog)
		}
	})
}
