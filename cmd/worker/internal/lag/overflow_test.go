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
		for queue, n := range map[[2]string]int{{"billing", "acme"}: 3, {"mail", "acme"}: 2, {"billing", envelope.Token("a b")}: 1} {
			for range n {
				h.publish(envelope.SpillSubject("JOBS_OVERFLOW", "worker", queue[0], queue[1]), nil)
			}
		}
		h.publish(envelope.SpillSubject("JOBS_OVERFLOW", "another", "billing", "acme"), nil)
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
