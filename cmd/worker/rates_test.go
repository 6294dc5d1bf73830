package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/spillwaymq/spillway/consumer/consumertest"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

// A redisServer is a redis-server of its own for one test, without memory of its last life.
type redisServer struct {
	t           *testing.T
	binary, dir string
	cmd         *exec.Cmd
}

func startRedis(t *testing.T) *redisServer {
	t.Helper()
	binary, err := exec.LookPath("redis-server")
	if err != nil {
		t.Skip("no redis-server on the PATH")
	}
	dir, err := os.MkdirTemp("", "rw") //nolint:usetesting // the path of a socket must be short
	if err != nil {
		t.Fatal(err)
	}
	s := &redisServer{t: t, binary: binary, dir: dir}
	t.Cleanup(func() {
		s.kill()
		_ = os.RemoveAll(dir)
	})
	s.start()
	return s
}

func (s *redisServer) url() string { return "unix://" + filepath.Join(s.dir, "s") }

func (s *redisServer) start() {
	s.t.Helper()
	redisbucket.LogTo(slog.New(slog.DiscardHandler))
	s.cmd = exec.Command(s.binary, "--port", "0", "--unixsocket", filepath.Join(s.dir, "s"), "--save", "", "--appendonly", "no", "--dir", s.dir)
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	client, err := redisbucket.Dial(s.url())
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	s.eventually("redis-server answers", func() bool { return client.Ping(s.t.Context()).Err() == nil })
}

func (s *redisServer) kill() {
	if s.cmd != nil {
		_ = s.cmd.Process.Kill()
		_ = s.cmd.Wait()
		s.cmd = nil
	}
}

func (s *redisServer) eventually(what string, ok func() bool) {
	s.t.Helper()
	for begun := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begun) > patience {
			s.t.Fatalf("never: %s", what)
		}
	}
}

// arrivals are the messages that came to a downstream.
type arrivals struct {
	mu   sync.Mutex
	seen map[string]int // by their idempotency keys
	at   map[string][]time.Time
}

func (a *arrivals) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	now, tenant := time.Now(), "other"
	if r.Header.Get("Spillway-Tenant") == "acme" {
		tenant = "acme"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.seen[r.Header.Get("Idempotency-Key")]++
	a.at[tenant] = append(a.at[tenant], now)
	a.at[""] = append(a.at[""], now)
}

func (a *arrivals) distinct() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.seen)
}

// since returns how many came of a tenant, "" for all, from then on.
func (a *arrivals) since(tenant string, then time.Time) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, at := range a.at[tenant] {
		if !at.Before(then) {
			n++
		}
	}
	return n
}

// The trial: two workers, one downstream, and one tenant whose own rate is less than its turn
// of that among eleven.
const (
	trialRate, trialBurst   = 300.0, 30.0
	tenantRate, tenantBurst = 20.0, 4.0
	trialLease              = 400 * time.Millisecond
)

type sharedTrial struct {
	t       *testing.T
	redis   *redisServer
	came    *arrivals
	workers []*worker
	ops     []string
	sent    int
}

func startSharedTrial(t *testing.T, onError string, acme, others int) *sharedTrial {
	t.Helper()
	tr := &sharedTrial{t: t, redis: startRedis(t), came: &arrivals{seen: map[string]int{}, at: map[string][]time.Time{}}, sent: acme + others}
	server := consumertest.NewServer(t, consumertest.WithListen())
	server.Stream(t, "JOBS", "jobs.>")
	js := server.JetStream(t)
	for i := range acme + others {
		subject := fmt.Sprintf("jobs.t%d.x", i%10)
		if i*acme/(acme+others) != (i+1)*acme/(acme+others) {
			subject = "jobs.acme.x"
		}
		if _, err := js.PublishAsync(subject, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	<-js.PublishAsyncComplete()
	web := httptest.NewServer(tr.came)
	t.Cleanup(web.Close)
	config := fmt.Sprintf(`
nats: {url: %q}
stream: JOBS
durable: worker
tenant: {subject_token: 2}
workers: 16
buffer: {messages: 256}
tenants: {default: {queue: 32}, overrides: {acme: {rate: {limit: %g/s, burst: %g, shared: true}}}}
downstreams: {api: {limit: {algorithm: none}, rate: {limit: %g/s, burst: %g, shared: true}}}
handlers: [{subject: "jobs.>", downstream: api, http: {url: %q}}]
redis: {url: %q, on_error: %s, timeout: 100ms, processes: 2}
ops: {listen: "127.0.0.1:0"}
log: {format: json}
`, server.URL(t), tenantRate, tenantBurst, trialRate, trialBurst, web.URL, tr.redis.url(), onError)
	for range 2 {
		w := start(t, config, "run")
		url, _ := w.await("operations endpoint is ready")["url"].(string)
		tr.workers, tr.ops = append(tr.workers, w), append(tr.ops, url)
	}
	tr.redis.eventually("messages come", func() bool { return tr.came.distinct() > 0 })
	return tr
}

func (tr *sharedTrial) get(url string) string {
	tr.t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		tr.t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		tr.t.Fatal(err)
	}
	return string(body)
}

// degraded reports whether the gauge of the downstream says so in all workers, or in none.
func (tr *sharedTrial) degraded(want bool) bool {
	gauge := `spillway_rate_limit_degraded{downstream="api",durable="worker",stream="JOBS"} 0`
	if want {
		gauge = strings.TrimSuffix(gauge, "0") + "1"
	}
	for _, url := range tr.ops {
		if !strings.Contains(tr.get(url+"/metrics"), gauge) {
			return false
		}
		var state struct {
			Downstreams []struct {
				Shared   bool `json:"rate_shared"`
				Degraded bool `json:"rate_degraded"`
			} `json:"downstreams"`
		}
		if err := json.Unmarshal([]byte(tr.get(url+"/api/v1/state")), &state); err != nil {
			tr.t.Fatal(err)
		}
		if d := state.Downstreams; len(d) != 1 || !d[0].Shared || d[0].Degraded != want {
			return false
		}
	}
	return true
}

// during returns how many came in so long, of all and of the tenant.
func (tr *sharedTrial) during(d time.Duration) (all, acme, seconds float64) {
	begun := time.Now()
	time.Sleep(d) // the duration of the measurement, nothing is awaited
	return float64(tr.came.since("", begun)), float64(tr.came.since("acme", begun)), time.Since(begun).Seconds()
}

// bound is burst + rate·(T+L), by factor.
func bound(factor, rate, burst, seconds float64) float64 {
	return factor * (burst + rate*(seconds+trialLease.Seconds()))
}

func (tr *sharedTrial) finish() {
	tr.t.Helper()
	tr.redis.eventually("all messages were handled", func() bool { return tr.came.distinct() == tr.sent })
	for _, w := range tr.workers {
		w.signal(syscall.SIGTERM)
		if code := w.exit(); code != exitClean {
			tr.t.Errorf("a worker ended with %d:\n%s", code, w.errors())
		}
	}
	if n := tr.came.since("", time.Time{}); n != tr.sent {
		tr.t.Errorf("%d messages came for %d that were sent", n, tr.sent)
	}
}

func TestTwoWorkersShareTheRatesOfADownstreamAndOfATenant(t *testing.T) {
	t.Parallel() // it mostly waits
	for name, how := range map[string]struct{ lose, end func(s *redisServer) }{
		"killed": {(*redisServer).kill, (*redisServer).start},
		"stalled": {
			func(s *redisServer) { _ = s.cmd.Process.Signal(syscall.SIGSTOP) },
			func(s *redisServer) { _ = s.cmd.Process.Signal(syscall.SIGCONT) },
		},
	} {
		t.Run("Redis is "+name, func(t *testing.T) {
			t.Parallel()
			tr := startSharedTrial(t, "local", 120, 1400)
			begun := time.Now()
			all, acme, seconds := tr.during(1500 * time.Millisecond)
			t.Logf("with Redis: %.3f of the downstream's rate, %.3f of the tenant's", all/seconds/trialRate, acme/seconds/tenantRate)
			if all > bound(1, trialRate, trialBurst, seconds) || acme > bound(1, tenantRate, tenantBurst, seconds) {
				t.Errorf("%.0f came in %.2f s, %.0f of them of the tenant", all, seconds, acme)
			}

			how.lose(tr.redis)
			for _, w := range tr.workers {
				w.await("Redis does not answer: shared rates are decided without it")
			}
			tr.redis.eventually("the gauges are up", func() bool { return tr.degraded(true) })
			all, acme, seconds = tr.during(1500 * time.Millisecond)
			t.Logf("without Redis: %.3f of the downstream's rate, %.3f of the tenant's", all/seconds/trialRate, acme/seconds/tenantRate)
			if all > bound(1, trialRate, trialBurst, seconds) || acme > bound(1, tenantRate, tenantBurst, seconds) {
				t.Errorf("%.0f came in %.2f s without Redis, %.0f of them of the tenant", all, seconds, acme)
			}
			if all < trialRate*seconds/2 || acme < tenantRate*seconds/4 {
				t.Errorf("only %.0f came in %.2f s without Redis, %.0f of them of the tenant", all, seconds, acme)
			}

			how.end(tr.redis)
			tr.redis.eventually("the gauges are down again", func() bool { return tr.degraded(false) })
			for _, w := range tr.workers {
				w.await("Redis answers again: shared rates hold for all processes")
			}
			tr.finish()
			total, seconds := float64(tr.sent), time.Since(begun).Seconds()
			if most := bound(1.2, trialRate, trialBurst, seconds); total > most {
				t.Errorf("%.0f came in %.2f s, more than %.0f", total, seconds, most)
			}
		})
	}
}

func TestTwoWorkersWithoutRedisDoAsConfigured(t *testing.T) {
	t.Parallel() // it mostly waits
	for _, mode := range []string{"open", "closed"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			tr := startSharedTrial(t, mode, 60, 1500)
			tr.redis.kill()
			for _, w := range tr.workers {
				w.await("Redis does not answer: shared rates are decided without it")
			}
			tr.redis.eventually("the gauges are up", func() bool { return tr.degraded(true) })
			if mode == "closed" {
				time.Sleep(trialLease) // what was leased may be used
				if all, _, seconds := tr.during(time.Second); all > 0 {
					t.Errorf("%.0f came in %.2f s", all, seconds)
				}
				if state := tr.get(tr.ops[0] + "/api/v1/state"); !strings.Contains(state, "downstream_rate") {
					t.Errorf("nobody is said to wait for the rate:\n%s", state)
				}
				tr.redis.start()
			}
			tr.finish()
		})
	}
}

func TestAWorkerStartsWithoutRedis(t *testing.T) {
	t.Parallel() // it mostly waits
	url, arrived, answer := downstream(t)
	w := start(t, fileWith(url,
		`redis: {url: "redis://127.0.0.1:1", password_file: p}`,
		`tenants: {default: {rate: {limit: 100/s, shared: true}}}`,
	), "run", "--embedded", "nats")
	if code := w.exit(); code != exitUsage || !strings.Contains(w.errors(), "redis.password_file: open p") {
		t.Errorf("without its password it ends with %d:\n%s", code, w.errors())
	}
	w = start(t, fileWith(url,
		`redis: {url: "redis://bob:hunter2@127.0.0.1:1"}`,
		`tenants: {default: {rate: {limit: 100/s, shared: true}}}`,
	), "run", "--embedded", "nats")
	js := w.connect()
	w.await("consuming")
	if _, err := js.Publish(t.Context(), "jobs.acme.x", []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if got := <-arrived; got != "acme:hello" {
		t.Fatalf("request is %q", got)
	}
	answer <- http.StatusOK
	w.await("Redis does not answer: shared rates are decided without it")
	w.signal(syscall.SIGTERM)
	if code := w.exit(); code != exitClean {
		t.Errorf("exit code is %d", code)
	}
	if strings.Contains(w.errors(), "hunter2") || strings.Contains(w.errors(), "redis: 20") {
		t.Errorf("the log shows a password, or what is not ours:\n%s", w.errors())
	}
}

func TestTheNewsOfRedisAreNoFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		n, err := newRedisNews(slog.New(slog.NewTextHandler(&out, nil)))
		if err != nil {
			t.Fatal(err)
		}
		n.ask(func() error { return errors.New("boom") })
		lines := func() int { return strings.Count(out.String(), "\n") }
		n.degraded(true)
		n.degraded(false)
		if got := out.String(); lines() != 2 || !strings.Contains(got, "error=boom") || !strings.Contains(got, "answers again") {
			t.Fatalf("logged is:\n%s", got)
		}
		for i := range 1001 { // it ends degraded
			n.degraded(i%2 == 0)
			time.Sleep(100 * time.Millisecond)
		}
		flapping := lines()
		if flapping > 2+2+4 {
			t.Errorf("%d lines in 100 s of a Redis that comes and goes:\n%s", flapping, out.String())
		}
		time.Sleep(time.Minute)
		all := strings.Split(strings.TrimSpace(out.String()), "\n")
		if last := all[len(all)-1]; !strings.Contains(last, "does not answer") || len(all) > flapping+1 {
			t.Errorf("the last line is %s", last)
		}
		time.Sleep(time.Hour)
		n.degraded(false)
		n.stop()
		n.degraded(true)
		synctest.Wait()
		if all := strings.Split(strings.TrimSpace(out.String()), "\n"); !strings.Contains(all[len(all)-1], "answers again") {
			t.Errorf("logged is:\n%s", out.String())
		}
	})
}
