package consumer_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

func TestWrongPatchesAreRefusedByFieldValueAndBound(t *testing.T) {
	c, err := consumer.New(offline(t), config(t, nil), newLedger(nil))
	if err != nil {
		t.Fatal(err)
	}
	for want, tt := range map[string]struct {
		tenant string
		patch  consumer.TenantPatch
		ttl    time.Duration
	}{
		"TenantPatch sets nothing, must have at least one of":                      {tenant: "a"},
		"TenantPatch.Weight is 0, must be between 0.001 and 1000":                  {"a", weighs(0), 0},
		"TenantPatch.MaxInFlight is -1, must be between 0 and 65536":               {"a", capped(-1), 0},
		"TenantPatch.Rate.Events is -1, must be above 0":                           {"a", consumer.TenantPatch{Rate: &limiter.Rate{Events: -1, Per: 1}}, 0},
		"ttl is -1s, must be between 0s and 8784h0m0s":                             {"a", paused(), -time.Second},
		"ttl is 8784h0m0.000000001s":                                               {"a", paused(), consumer.MaxTTL + 1},
		`tenant is "", must be 1 to 256 bytes of UTF-8 without control characters`: {"", paused(), 0},
		`tenant is "\x00suspect", must`:                                            {"\x00suspect", paused(), 0},
		`tenant is "\xff", must`:                                                   {"\xff", paused(), 0},
	} {
		err := c.SetTenant(t.Context(), tt.tenant, tt.patch, tt.ttl)
		if !errors.Is(err, consumer.ErrPatch) || !strings.Contains(err.Error(), want) {
			t.Errorf("the error is %v, want ErrPatch and %q", err, want)
		}
	}
}

func TestTenantsWithOddNamesCanBeSet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		a, b := r.process(config(t, nil), newLedger(nil)), r.process(config(t, nil), newLedger(nil))
		awaitRunning(t, a, b)
		names := []string{".", "..", "*", ">", "a.b", "a b", "$KV", "_", "%41", "=41", "-x", "ünï", "<script>", strings.Repeat("ü", 128)}
		for i, name := range names {
			a.set(name, capped(i+1), 0)
		}
		time.Sleep(time.Second)
		for i, name := range names {
			if got := b.c.Tenant(name).MaxInFlight; got != i+1 {
				t.Errorf("%q: %d, want %d", name, got, i+1)
			}
		}
		if got := b.c.Tenant("a").MaxInFlight; got != 0 {
			t.Errorf("a has %d", got)
		}
	})
}

func TestARecordOfALaterVersionIsKept(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		p := r.process(config(t, nil), newLedger(nil))
		awaitRunning(t, p)
		kv := must[jetstream.KeyValue](t)(r.js.KeyValue(t.Context(), "JOBS_STATE"))
		must[uint64](t)(kv.Put(t.Context(), "w.tenant.acme", []byte(`{"version":1,"tenant":"acme","weight":{"value":4},"color":{"value":"red"},"max_in_flight":{"value":-3}}`)))
		must[uint64](t)(kv.Put(t.Context(), "w.tenant.bolt", []byte(`{"version":2,"tenant":"bolt","weight":{"value":4}}`)))
		must[uint64](t)(kv.Put(t.Context(), "w.tenant.evil", []byte(`{"version":1,"tenant":"acme","paused":{"value":true}}`)))
		must[uint64](t)(kv.Put(t.Context(), "w.tenant.junk", []byte(`[]`)))
		time.Sleep(time.Second)
		if s := p.c.Tenant("acme"); s.Weight != 4 || s.MaxInFlight != 0 || s.Paused {
			t.Errorf("its state is %+v", s)
		}
		p.set("acme", paused(), 0)
		e := must[jetstream.KeyValueEntry](t)(kv.Get(t.Context(), "w.tenant.acme"))
		for _, want := range []string{`"color":{"value":"red"}`, `"weight":{"value":4}`, `"paused":{"value":true}`} {
			if !strings.Contains(string(e.Value()), want) {
				t.Errorf("the record is %s, want it to have %s", e.Value(), want)
			}
		}
		wantError(t, p.c.SetTenant(t.Context(), "bolt", paused(), 0), "later version")
		if s := p.c.Tenant("bolt"); s.Weight != 1 {
			t.Errorf("bolt weighs %v", s.Weight)
		}
		p.set("junk", paused(), 0)
		if !p.c.Tenant("junk").Paused {
			t.Error("junk is not paused")
		}
	})
}
