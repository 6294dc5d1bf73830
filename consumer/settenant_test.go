package consumer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

func paused() consumer.TenantPatch          { return consumer.TenantPatch{Paused: new(true)} }
func resumed() consumer.TenantPatch         { return consumer.TenantPatch{Paused: new(false)} }
func weighs(w float64) consumer.TenantPatch { return consumer.TenantPatch{Weight: &w} }
func capped(n int) consumer.TenantPatch     { return consumer.TenantPatch{MaxInFlight: &n} }

func (p *process) set(tenant string, patch consumer.TenantPatch, ttl time.Duration) {
	p.t.Helper()
	if err := p.c.SetTenant(p.t.Context(), tenant, patch, ttl); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) clear(tenant string) {
	p.t.Helper()
	if err := p.c.ResetTenant(p.t.Context(), tenant); err != nil {
		p.t.Fatal(err)
	}
}

// bucketKeys returns how many records the bucket holds, those that say nothing included.
func (r *rig) bucketKeys() uint64 {
	r.t.Helper()
	return r.streamMsgs("KV_JOBS_STATE")
}

func awaitRunning(t *testing.T, ps ...*process) {
	t.Helper()
	for _, p := range ps {
		eventually(t, time.Minute, "it runs", func() bool { return p.c.Ready() == nil })
	}
}

func TestWhatIsSetReachesAllProcessesAndThoseToCome(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, l := newRig(t), newLedger(nil)
		cfg := config(t, nil)
		a, b := r.process(cfg, l), r.process(cfg, l)
		awaitRunning(t, a, b)
		a.set("acme", paused(), 0)
		time.Sleep(time.Second)
		if !a.c.Tenant("acme").Paused || !b.c.Tenant("acme").Paused {
			t.Fatalf("after a second: %+v and %+v", a.c.Tenant("acme"), b.c.Tenant("acme"))
		}
		b.set("acme", capped(3), 0) // and what was set stays
		time.Sleep(time.Second)
		for _, p := range []*process{a, b} {
			if s := p.c.Tenant("acme"); !s.Paused || s.MaxInFlight != 3 {
				t.Errorf("its state is %+v", s)
			}
		}
		_ = a.stop()
		_ = b.stop()
		r.publish("jobs.acme.x", "acme")
		r.publish("jobs.bolt.x", "bolt")
		c := r.process(cfg, l)
		awaitRunning(t, c)
		time.Sleep(time.Hour)
		if l.handled() != 1 || c.c.Tenant("acme").MaxInFlight != 3 {
			t.Errorf("%d messages were handled after a restart, want that of bolt alone", l.handled())
		}
		c.clear("acme")
		time.Sleep(time.Second)
		if s := c.c.Tenant("acme"); l.handled() != 2 || s.Paused || s.Override != nil {
			t.Errorf("%d are handled after a reset: %+v", l.handled(), s)
		}
		time.Sleep(10 * time.Minute)
		if n := r.bucketKeys(); n != 0 {
			t.Errorf("the bucket holds %d records that say nothing", n)
		}
	})
}

func TestWhatIsSetForATimeIsOverOnTimeEvenIfNATSIsAway(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), record(nil)
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.AckWait = time.Hour }), h) // the lease lasts
		awaitRunning(t, p)
		start := time.Now()
		p.set("acme", paused(), time.Minute)
		p.set("acme", weighs(3), 2*time.Minute)
		p.set("acme", capped(7), 0)
		r.publish("jobs.acme.x", "")
		time.Sleep(30 * time.Second)
		s := p.c.Tenant("acme")
		if !s.Paused || s.Weight != 3 || s.MaxInFlight != 7 || !s.Override.Paused.Until.Equal(start.Add(time.Minute)) || !s.Waiting.Until.Equal(start.Add(time.Minute)) {
			t.Errorf("its state is %+v, waiting %+v", s, s.Waiting)
		}
		r.Stop(t)
		time.Sleep(time.Until(start.Add(time.Minute)) + 10*time.Millisecond)
		if n := len(h.all()); n != 1 {
			t.Fatalf("%d ran when the pause was over", n)
		}
		if at := h.all()[0].at.Sub(start); at < time.Minute || at > time.Minute+5*time.Millisecond {
			t.Errorf("it ran %v after the pause of a minute began", at)
		}
		r.Start(t)
		time.Sleep(2 * time.Minute)
		if s := p.c.Tenant("acme"); s.Paused || s.Weight != 1 || s.MaxInFlight != 7 || s.Override.Weight != nil {
			t.Errorf("when the weight is over its state is %+v", s)
		}
		p.clear("acme")
		p.set("bolt", paused(), time.Minute)
		time.Sleep(10 * time.Minute)
		if n := r.bucketKeys(); n != 0 || len(p.c.Snapshot().Tenants) > 1 {
			t.Errorf("the bucket holds %d records that are over", n)
		}
	})
}

func TestWhatIsSetSurvivesWhatHappensToTheBucketAndTheConnection(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, l := newRig(t), newLedger(nil)
		a, b := r.process(config(t, nil), l), r.process(config(t, nil), l)
		awaitRunning(t, a, b)
		want := func(what string, is bool) {
			t.Helper()
			for name, p := range map[string]*process{"a": a, "b": b} {
				eventually(t, time.Minute, fmt.Sprintf("%s: paused is %t in %s", what, is, name), func() bool { return p.c.Tenant("acme").Paused == is })
			}
		}
		a.set("acme", paused(), 0)
		want("set", true)
		r.CutConnections(t)
		time.Sleep(time.Second)
		b.clear("acme")
		want("after a cut", false)
		r.Restart(t)
		awaitRunning(t, a, b)
		a.set("acme", paused(), 0)
		want("after a restart", true)
		r.deleteStream("KV_JOBS_STATE")
		want("the bucket was deleted", false)
		b.set("acme", paused(), 0)
		want("in a bucket that was made again", true)
		kv := must[jetstream.KeyValue](t)(r.js.KeyValue(t.Context(), "JOBS_STATE"))
		if err := kv.Delete(t.Context(), "w.tenant.acme"); err != nil {
			t.Fatal(err)
		}
		want("deleted by hand", false)
		a.set("acme", paused(), 0)
		want("set again", true)
		r.deleteStream("JOBS")
		r.Stream(t, "JOBS", "jobs.>")
		time.Sleep(time.Minute)
		want("after the stream was made again", true)
	})
}

func TestWithoutABucketAnUnmanagedConsumerRunsAndSaysSo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, l := newRig(t), newLedger(nil)
		p := r.process(config(t, nil), l) // makes all that is needed
		awaitRunning(t, p)
		_ = p.stop()
		r.deleteStream("KV_JOBS_STATE")
		u := r.process(config(t, func(cfg *consumer.Config) { cfg.Unmanaged = true }), l)
		awaitRunning(t, u)
		r.publish("jobs.acme.x", "1")
		time.Sleep(time.Second)
		err := u.c.SetTenant(t.Context(), "acme", paused(), 0)
		if !errors.Is(err, consumer.ErrLivePolicyOff) || l.handled() != 1 {
			t.Errorf("the error is %v, and %d are handled", err, l.handled())
		}
		wantError(t, err, "bucket JOBS_STATE does not exist, and Unmanaged forbids to create it")
		if _, err := r.js.KeyValue(t.Context(), "JOBS_STATE"); !errors.Is(err, jetstream.ErrBucketNotFound) {
			t.Errorf("there is a bucket: %v", err)
		}
		must[jetstream.KeyValue](t)(r.js.CreateKeyValue(t.Context(), jetstream.KeyValueConfig{Bucket: "JOBS_STATE"}))
		if err := u.c.SetTenant(t.Context(), "acme", paused(), 0); err != nil {
			t.Error(err)
		}
		eventually(t, 2*time.Minute, "it is found", func() bool { return u.c.Tenant("acme").Paused })
	})
}

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

func TestWithoutNATSSetTenantIsAnErrorAndNothingChanges(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		p := r.process(config(t, nil), newLedger(nil))
		awaitRunning(t, p)
		r.Stop(t)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := p.c.SetTenant(ctx, "acme", paused(), 0); err == nil {
			t.Error("there is no error")
		}
		r.Start(t)
		time.Sleep(time.Minute)
		if p.c.Tenant("acme").Paused {
			t.Error("it is paused")
		}
	})
}

func TestManyChangesOfOneTenantAtOnceLoseNone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		ps := []*process{r.process(config(t, nil), newLedger(nil)), r.process(config(t, nil), newLedger(nil)), r.process(config(t, nil), newLedger(nil))}
		awaitRunning(t, ps...)
		patches := []consumer.TenantPatch{paused(), weighs(5), capped(6)}
		errs := make(chan error, len(ps))
		for i, p := range ps {
			go func() { errs <- p.c.SetTenant(t.Context(), "acme", patches[i], 0) }()
		}
		for range ps {
			if err := <-errs; err != nil {
				t.Error(err)
			}
		}
		time.Sleep(time.Second)
		for _, p := range ps {
			if s := p.c.Tenant("acme"); !s.Paused || s.Weight != 5 || s.MaxInFlight != 6 {
				t.Errorf("its state is %+v", s)
			}
		}
	})
}

func TestALiveWeightCountsFromTheNextCharge(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r, h := newRig(t), record(takes(10*time.Millisecond))
		p := r.process(config(t, func(cfg *consumer.Config) { cfg.Workers, cfg.Tenants.Queue = 1, 1000 }), h)
		awaitRunning(t, p)
		r.flood("acme", 600)
		r.flood("bolt", 600)
		share := func() float64 {
			from := len(h.all())
			time.Sleep(2 * time.Second)
			n := 0
			runs := h.all()[from:]
			for _, run := range runs {
				if run.m.Tenant == "acme" {
					n++
				}
			}
			return float64(n) / float64(len(runs))
		}
		if s := share(); s < 0.48 || s > 0.52 {
			t.Errorf("acme has %v of the runs, want a half", s)
		}
		p.set("acme", weighs(3), 0)
		if s := share(); s < 0.73 || s > 0.77 {
			t.Errorf("with weight 3 acme has %v of the runs, want three quarters", s)
		}
		p.clear("acme")
		if s := share(); s < 0.48 || s > 0.52 {
			t.Errorf("acme has %v of the runs after the reset, want a half", s)
		}
		synctest.Wait()
	})
}

func TestReloadKeepsWhatIsSetOverTheConfig(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		p := r.process(config(t, nil), newLedger(nil))
		awaitRunning(t, p)
		p.set("acme", weighs(9), 0)
		r.publish("jobs.acme.x", "1")
		time.Sleep(time.Second)
		if err := p.c.Reload(config(t, func(cfg *consumer.Config) { cfg.Tenants.Weight, cfg.Tenants.MaxInFlight = 2, 5 })); err != nil {
			t.Fatal(err)
		}
		if s := p.c.Tenant("acme"); s.Weight != 9 || s.MaxInFlight != 5 {
			t.Errorf("its state is %+v", s)
		}
		p.clear("acme")
		if s := p.c.Tenant("acme"); s.Weight != 2 || s.MaxInFlight != 5 {
			t.Errorf("after the reset its state is %+v", s)
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
