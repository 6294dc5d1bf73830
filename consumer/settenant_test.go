package consumer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/consumer"
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

func TestSetTenantWorksAfterRun(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		r := newRig(t)
		a, b := r.process(config(t, nil), newLedger(nil)), r.process(config(t, nil), newLedger(nil))
		awaitRunning(t, a, b)
		if err := a.stop(); err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		a.set("acme", paused(), 0)
		a.set("acme", capped(3), 0)
		if took := time.Since(begun); took > time.Second {
			t.Errorf("it took %v, as if it waited for a run that has ended", took)
		}
		time.Sleep(time.Second)
		if s := b.c.Tenant("acme"); !s.Paused || s.MaxInFlight != 3 {
			t.Errorf("in the one that runs its state is %+v", s)
		}
		a.clear("acme")
		time.Sleep(time.Second)
		if s := b.c.Tenant("acme"); s.Override != nil {
			t.Errorf("after a reset its state is %+v", s)
		}
	})
}
