package consumer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/consumertest"
)

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

// lines is a log that tests read.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// count returns how many lines hold text.
func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func TestWhoMayNotReadTheBucketRunsByItsConfigAndWarns(t *testing.T) {
	users := func(o *server.Options) {
		o.NoAuthUser = "admin"
		o.Users = []*server.User{
			{Username: "admin", Password: "x"},
			{Username: "worker", Password: "x", Permissions: &server.Permissions{
				Publish: &server.SubjectPermission{Deny: []string{"$KV.>", "$JS.API.*.*.KV_JOBS_STATE", "$JS.API.*.*.KV_JOBS_STATE.>", "$JS.API.*.*.*.KV_JOBS_STATE.>"}},
			}},
		}
	}
	inBubble(t, func(t *testing.T) {
		r, l, log := newRig(t, consumertest.WithConfig(users)), newLedger(nil), new(lines)
		admin := r.process(config(t, nil), newLedger(nil))
		awaitRunning(t, admin)
		admin.set("acme", paused(), 0)
		admin.set("acme", weighs(9), 0)
		if err := admin.stop(); err != nil {
			t.Fatal(err)
		}
		p := r.process(config(t, func(cfg *consumer.Config) {
			cfg.Tenants.Weight = 3
			cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
		}), l, nats.UserInfo("worker", "x"))
		awaitRunning(t, p)
		r.publish("jobs.acme.x", "1")
		time.Sleep(time.Hour)
		if s := p.c.Tenant("acme"); l.handled() != 1 || s.Paused || s.Weight != 3 || s.Override != nil {
			t.Errorf("%d handled, its state is %+v: want that of the config", l.handled(), s)
		}
		if n := log.count("the config alone counts until it can"); n != 1 {
			t.Errorf("the warning was given %d times, want once at the start", n)
		}
		if n := log.count("what is set of tenants cannot be followed"); n < 1 || n > 200 {
			t.Errorf("in an hour it was told %d times that it goes on", n)
		}
		err := p.c.SetTenant(t.Context(), "acme", weighs(2), 0)
		if !errors.Is(err, nats.ErrPermissionViolation) {
			t.Errorf("the error is %v, want the one of the permission", err)
		}
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
}
