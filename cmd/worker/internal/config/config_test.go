package config_test

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/limiter"
)

const minimal = `stream: JOBS
durable: worker
handlers: [{subject: "jobs.>", discard: {}}]
`

func parse(t *testing.T, text string, from config.Sources) *config.Config {
	t.Helper()
	c, err := config.Parse("worker.yaml", []byte(text), from)
	if err != nil {
		t.Fatalf("config is refused: %v", err)
	}
	return c
}

// problems returns the lines of the error that text ends in.
func problems(t *testing.T, text string, from config.Sources) []string {
	t.Helper()
	_, err := config.Parse("worker.yaml", []byte(text), from)
	if err == nil {
		t.Fatalf("config is accepted:\n%s", text)
	}
	return strings.Split(err.Error(), "\n")
}

func TestMinimalFileHasTheDefaults(t *testing.T) {
	c := parse(t, minimal, config.Sources{})
	got := c.Consumer()
	if got.Workers != 64 || got.AckWait != 30*time.Second || got.Buffer != (consumer.Buffer{Messages: 4096, Bytes: 64 << 20, TargetDelay: 200 * time.Millisecond}) {
		t.Errorf("workers, ack_wait, buffer are %d, %v, %+v", got.Workers, got.AckWait, got.Buffer)
	}
	if got.Overflow != (consumer.StreamRef{Stream: "JOBS_OVERFLOW", MaxBytes: 10 << 30}) || got.DeadLetter != (consumer.StreamRef{Stream: "JOBS_DEAD", MaxBytes: -1}) {
		t.Errorf("overflow, dead_letter are %+v, %+v", got.Overflow, got.DeadLetter)
	}
	want := consumer.TenantPolicy{Queue: 256, High: 0.75, Low: 0.375, Weight: 1, OnOverflow: consumer.OverflowSpill}
	if got.Tenants != want {
		t.Errorf("tenants.default is %+v, want %+v", got.Tenants, want)
	}
	if got.Deliver != jetstream.DeliverAllPolicy || got.Unmanaged || got.Tenant != nil || got.PolicyFor != nil {
		t.Errorf("deliver, unmanaged, tenant, policy are %v, %v, %v, %v", got.Deliver, got.Unmanaged, got.Tenant != nil, got.PolicyFor != nil)
	}
	if c.NATS.URL != "nats://127.0.0.1:4222" || c.Ops.Listen != "127.0.0.1:8080" {
		t.Errorf("nats.url, ops.listen are %q, %q", c.NATS.URL, c.Ops.Listen)
	}
}

func TestTheExampleIsValidAndTellsTheDefaults(t *testing.T) {
	c, err := config.Load("../../example.yaml", config.Sources{})
	if err != nil {
		t.Fatal(err)
	}
	d := parse(t, minimal, config.Sources{})
	if c.Buffer != d.Buffer || c.Tenants.Default != d.Tenants.Default || c.Retry != d.Retry || c.Overflow != d.Overflow ||
		c.DeadLetter != d.DeadLetter || c.Ops != d.Ops || c.Log != d.Log || c.NATS != d.NATS || c.Workers != d.Workers ||
		c.AckWait != d.AckWait || c.DrainTimeout != d.DrainTimeout || c.Deliver != d.Deliver || c.Manage != d.Manage {
		t.Errorf("the example has\n%+v\nthe defaults are\n%+v", c.File, d.File)
	}
	h := c.Handlers
	if h[0].Timeout() != 30*time.Second || !slices.Equal(h[0].HTTP.DeadLetterOn, []int{400, 410, 413, 415, 422}) || h[1].Timeout() != 30*time.Second {
		t.Errorf("the handlers of the example are %+v", h)
	}
}

func TestEveryKeyArrives(t *testing.T) {
	c := parse(t, `
nats: {url: "nats://a:1,nats://b:2", credentials: c.creds, domain: hub, tls: {ca: ca.pem, cert: c.pem, key: k.pem}}
stream: S
durable: d
subjects: [s.>, "u.*"]
filter_subjects: [s.a]
deliver: new
manage: false
tenant: {header: Tenant-Id, fallback: nobody}
workers: 7
ack_wait: 1m
buffer: {messages: 9, bytes: 1MB}
tenants: {default: {queue: 8, high: 0.5, low: 0, weight: 0.5, max_in_flight: 3, rate: {limit: 10/30s, burst: 4}, on_overflow: hold}}
downstreams:
  billing:
    limit: {algorithm: slo, min: 2, max: 20, initial: 5, target: 250ms, brake: 1s}
    breaker: {failure_ratio: 0.4, min_calls: 7, window: 3s, slow_call: 2s, slow_ratio: 0.9, open: 1s, max_open: 8s, probes: 2}
    rate: {limit: 500/s, burst: 100}
  default: {limit: {algorithm: none}, breaker: {disabled: true}, rate: 5/m}
handlers:
  - {subject: s.a, downstream: billing, http: {url: "https://h/x", timeout: 1m30s, dead_letter_on: [404], headers: {A: plain, B: {value: v}, C: {file: f}}}}
  - {subject: s.b, exec: {command: [run, it], timeout: 0s}}
  - {subject: s.c, discard: {delay: 5ms}}
retry: {max_attempts: 2, initial: 5ms, max: 6ms, multiplier: 1.5, jitter: 0}
dead_letter: {stream: D, max_bytes: 4096}
overflow: {stream: O, max_bytes: -1}
ops: {listen: ":9", token_file: tok}
drain_timeout: 9s
log: {level: debug, format: console}
`, config.Sources{})
	got := c.Consumer()
	if !slices.Equal(got.Subjects, []string{"s.>", "u.*"}) || !slices.Equal(got.FilterSubjects, []string{"s.a"}) {
		t.Errorf("subjects are %q, filters %q", got.Subjects, got.FilterSubjects)
	}
	if got.Deliver != jetstream.DeliverNewPolicy || !got.Unmanaged {
		t.Errorf("deliver is %v, unmanaged %v", got.Deliver, got.Unmanaged)
	}
	if tenant := got.Tenant("s.x", nats.Header{"Tenant-Id": {"acme"}}); tenant != "acme" {
		t.Errorf("tenant is %q", tenant)
	}
	if tenant := got.Tenant("s.x", nil); tenant != "nobody" {
		t.Errorf("tenant without a header is %q", tenant)
	}
	if p := got.Tenants; p.Queue != 8 || p.High != 0.5 || p.Low > 1e-9 || p.Low == 0 || p.Weight != 0.5 || p.MaxInFlight != 3 || p.OnOverflow != consumer.OverflowHold {
		t.Errorf("tenants.default is %+v", p)
	}
	if want := (consumer.Retry{MaxAttempts: 2, Initial: 5 * time.Millisecond, Max: 6 * time.Millisecond, Multiplier: 1.5, Jitter: -1}); got.Retry != want {
		t.Errorf("retry is %+v, want %+v", got.Retry, want)
	}
	wantDownstreams := map[string]consumer.Downstream{
		"billing": {
			Limit:   consumer.Limit{Algorithm: limiter.SLO, Min: 2, Max: 20, Initial: 5, Target: 250 * time.Millisecond, Brake: time.Second},
			Breaker: consumer.Breaker{FailureRatio: 0.4, MinCalls: 7, Window: 3 * time.Second, SlowCall: 2 * time.Second, SlowRatio: 0.9, Open: time.Second, MaxOpen: 8 * time.Second, Probes: 2},
			Rate:    limiter.Rate{Events: 500, Per: time.Second, Burst: 100},
		},
		"default": {Limit: consumer.Limit{Algorithm: limiter.None}, Breaker: consumer.Breaker{Disabled: true}, Rate: limiter.Rate{Events: 5, Per: time.Minute}},
	}
	if !maps.Equal(got.Downstreams, wantDownstreams) {
		t.Errorf("downstreams are %+v", got.Downstreams)
	}
	if got.Tenants.Rate != (limiter.Rate{Events: 10, Per: 30 * time.Second, Burst: 4}) {
		t.Errorf("tenants.default.rate is %+v", got.Tenants.Rate)
	}
	if got.Buffer.Bytes != 1_000_000 || got.DeadLetter.MaxBytes != 4096 || got.Overflow.MaxBytes != -1 || got.DrainTimeout != 9*time.Second {
		t.Errorf("sizes and drain are %d, %d, %d, %v", got.Buffer.Bytes, got.DeadLetter.MaxBytes, got.Overflow.MaxBytes, got.DrainTimeout)
	}
	h := c.Handlers
	if h[0].Timeout() != 90*time.Second || h[1].Timeout() != 0 || h[2].Timeout() != 0 || h[2].Discard.Delay != 5*time.Millisecond {
		t.Errorf("timeouts are %v, %v, %v; delay %v", h[0].Timeout(), h[1].Timeout(), h[2].Timeout(), h[2].Discard.Delay)
	}
	if hs := h[0].HTTP.Headers; hs["A"].Value != "plain" || hs["B"].Value != "v" || hs["C"].File != "f" {
		t.Errorf("headers are %+v", hs)
	}
}

func TestHandlersTimeOutAfterThirtySecondsByDefault(t *testing.T) {
	c := parse(t, `
stream: S
durable: d
handlers: [{subject: a, http: {url: "http://h"}}, {subject: b, exec: {command: [x]}}]
`, config.Sources{})
	for i, h := range c.Handlers {
		if h.Timeout() != 30*time.Second {
			t.Errorf("handlers[%d] times out after %v", i, h.Timeout())
		}
	}
	if got := c.Handlers[0].HTTP.DeadLetterOn; !slices.Equal(got, []int{400, 410, 413, 415, 422}) {
		t.Errorf("dead_letter_on is %v", got)
	}
}

func TestOverridesMergeOverTheDefaultKeyByKey(t *testing.T) {
	c := parse(t, minimal+`tenants:
  overrides:
    acme: {weight: 4}
    slow: {high: 0.5}
    low: {low: 0.1, max_in_flight: 1, rate: 1/h}
    free: {rate: ""}
  default: {queue: 10, rate: 100/s}
`, config.Sources{Environ: []string{"SPILLWAY_TENANTS_DEFAULT_MAX_IN_FLIGHT=5"}})
	rate := limiter.Rate{Events: 100, Per: time.Second}
	for tenant, want := range map[string]consumer.TenantPolicy{
		"acme": {Queue: 10, High: 0.75, Low: 0.375, Weight: 4, MaxInFlight: 5, Rate: rate, OnOverflow: consumer.OverflowSpill},
		"slow": {Queue: 10, High: 0.5, Low: 0.25, Weight: 1, MaxInFlight: 5, Rate: rate, OnOverflow: consumer.OverflowSpill},
		"low":  {Queue: 10, High: 0.75, Low: 0.1, Weight: 1, MaxInFlight: 1, Rate: limiter.Rate{Events: 1, Per: time.Hour}, OnOverflow: consumer.OverflowSpill},
		"free": {Queue: 10, High: 0.75, Low: 0.375, Weight: 1, MaxInFlight: 5, OnOverflow: consumer.OverflowSpill},
		"else": {Queue: 10, High: 0.75, Low: 0.375, Weight: 1, MaxInFlight: 5, Rate: rate, OnOverflow: consumer.OverflowSpill},
	} {
		got := c.Consumer().Tenants
		c.Consumer().PolicyFor(tenant, &got)
		if got != want {
			t.Errorf("policy of %s is %+v, want %+v", tenant, got, want)
		}
	}
}

func TestAFlagWinsOverTheEnvironmentWhichWinsOverTheFile(t *testing.T) {
	file := minimal + "workers: 1\nack_wait: 1s\n"
	c := parse(t, file, config.Sources{
		Environ: []string{"SPILLWAY_WORKERS=2", "SPILLWAY_BUFFER_MESSAGES=20", "SPILLWAY_SUBJECTS=a.>, b", "SPILLWAY_LOG_LEVEL=", "SPILLWAY_UNKNOWN=x", "SPILLWAY_MANAGE=false", "OTHER"},
		Set:     []string{"buffer.messages=30", "nats.url=nats://x:1?a=b"},
	})
	if c.Workers != 2 || c.AckWait != time.Second || c.Buffer.Messages != 30 || c.Manage {
		t.Errorf("workers, ack_wait, messages, manage are %d, %v, %d, %v", c.Workers, c.AckWait, c.Buffer.Messages, c.Manage)
	}
	if !slices.Equal(c.Subjects, []string{"a.>", "b"}) || c.NATS.URL != "nats://x:1?a=b" || c.Log.Level != "info" {
		t.Errorf("subjects, url, level are %q, %q, %q", c.Subjects, string(c.NATS.URL), c.Log.Level)
	}
}

func TestAnchorsAndMergesAreUnderstood(t *testing.T) {
	c := parse(t, minimal+`tenants:
  default: &d {queue: 5, weight: 2}
  overrides:
    a: *d
    b: {<<: *d, weight: 3}
`, config.Sources{})
	for tenant, want := range map[string]float64{"a": 2, "b": 3} {
		p := c.Consumer().Tenants
		c.Consumer().PolicyFor(tenant, &p)
		if p.Queue != 5 || p.Weight != want {
			t.Errorf("policy of %s is %+v", tenant, p)
		}
	}
}

func TestPrintedConfigMasksSecretsAndIsAConfig(t *testing.T) {
	c := parse(t, `
nats: {url: "nats://bob:hunter2@a:1,tok3n@b:2"}
stream: S
durable: d
tenants: {default: {rate: {limit: 5/s, burst: 2}}, overrides: {acme: {weight: 4, rate: 7/m}}}
downstreams: {billing: {rate: 500/s}, mail: {limit: {algorithm: fixed, max: 3}, breaker: {disabled: true}}}
handlers: [{subject: b, downstream: billing, discard: {}}, {subject: c, downstream: mail, discard: {}}, {subject: a, http: {url: "http://bob:hunter2@h/x", headers: {Authorization: "Bearer tok3n"}}}]
`, config.Sources{})
	var out bytes.Buffer
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{"rate: 500/s", "algorithm: adaptive", "max: 64", "failure_ratio: 0.5", "min_calls: 20", "window: 10s", "open: 5s", "max_open: 1m0s", "disabled: true"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not shown:\n%s", line, &out)
		}
	}
	for _, secret := range []string{"hunter2", "bob", "tok3n"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s is shown:\n%s", secret, &out)
		}
	}
	again := parse(t, out.String(), config.Sources{})
	if again.Buffer != c.Buffer || again.Retry != c.Retry || again.Overflow != c.Overflow || again.Tenants.Default != c.Tenants.Default ||
		!maps.Equal(again.Downstreams, c.Downstreams) || *again.Tenants.Overrides["acme"].Rate != *c.Tenants.Overrides["acme"].Rate {
		t.Errorf("the printed config says something else:\n%s", &out)
	}
}

func TestSizes(t *testing.T) {
	for text, want := range map[string]config.Size{
		"4096": 4096, "1KiB": 1024, "1kB": 1000, "64MiB": 64 << 20, "10GB": 10e9, "1.5GiB": 3 << 29, " 2 TiB ": 2 << 40, "-1": -1,
	} {
		var got config.Size
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%q is %d (%v), want %d", text, got, err, want)
		}
	}
}
