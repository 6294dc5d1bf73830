package config_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/consumer"
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
	if got.Workers != 64 || got.AckWait != 30*time.Second || got.Buffer != (consumer.Buffer{Messages: 4096, Bytes: 64 << 20}) {
		t.Errorf("workers, ack_wait, buffer are %d, %v, %+v", got.Workers, got.AckWait, got.Buffer)
	}
	if got.Overflow != (consumer.StreamRef{Stream: "JOBS_OVERFLOW", MaxBytes: 10 << 30}) || got.DeadLetter != (consumer.StreamRef{Stream: "JOBS_DEAD", MaxBytes: -1}) {
		t.Errorf("overflow, dead_letter are %+v, %+v", got.Overflow, got.DeadLetter)
	}
	want := consumer.TenantPolicy{Queue: 256, High: 0.75, Low: 0.375, Weight: 1, OnOverflow: consumer.OverflowDelay}
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
tenants: {default: {queue: 8, high: 0.5, low: 0, weight: 0.5, max_in_flight: 3, on_overflow: hold}}
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
    low: {low: 0.1, max_in_flight: 1}
  default: {queue: 10}
`, config.Sources{Environ: []string{"SPILLWAY_TENANTS_DEFAULT_MAX_IN_FLIGHT=5"}})
	for tenant, want := range map[string]consumer.TenantPolicy{
		"acme": {Queue: 10, High: 0.75, Low: 0.375, Weight: 4, MaxInFlight: 5, OnOverflow: consumer.OverflowDelay},
		"slow": {Queue: 10, High: 0.5, Low: 0.25, Weight: 1, MaxInFlight: 5, OnOverflow: consumer.OverflowDelay},
		"low":  {Queue: 10, High: 0.75, Low: 0.1, Weight: 1, MaxInFlight: 1, OnOverflow: consumer.OverflowDelay},
		"else": {Queue: 10, High: 0.75, Low: 0.375, Weight: 1, MaxInFlight: 5, OnOverflow: consumer.OverflowDelay},
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

func TestMistakesAreToldWithTheirPlace(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"unknown key", "wrkers: 3", `worker.yaml:4:1: unknown key "wrkers" (did you mean "workers"?)`},
		{"unknown key inside", "buffer: {messges: 3}", `worker.yaml:4:10: unknown key "buffer.messges" (did you mean "messages"?)`},
		{"key of a later version", "redis: {url: x}", `worker.yaml:4:1: unknown key "redis" (`},
		{"bare duration", "ack_wait: 30", `worker.yaml:4:11: ack_wait is 30, which has no unit; write 30s for seconds or 30ms for milliseconds`},
		{"bare duration in quotes", `ack_wait: "1.5"`, `worker.yaml:4:11: ack_wait is 1.5, which has no unit`},
		{"no duration", "ack_wait: soon", `worker.yaml:4:11: ack_wait is "soon", must be a duration like 250ms, 30s or 5m`},
		{"string for a number", `workers: "8"`, `worker.yaml:4:10: workers is "8", must be a whole number`},
		{"fraction for a whole number", "workers: 8.5", `worker.yaml:4:10: workers is 8.5, must be a whole number`},
		{"number for a string", "tenant: {header: 8}", `worker.yaml:4:18: tenant.header is 8, must be a string`},
		{"word for a bool", "manage: yes", `worker.yaml:4:9: manage is "yes", must be true or false`},
		{"list for a string", "deliver: [all]", `worker.yaml:4:10: deliver is a list, must be a string`},
		{"string for a list", "subjects: jobs", `worker.yaml:4:11: subjects is "jobs", must be a list`},
		{"scalar for a mapping", "buffer: 5", `worker.yaml:4:9: buffer is 5, must be a mapping`},
		{"no size", "buffer: {bytes: 64Mb}", `worker.yaml:4:17: buffer.bytes is "64Mb", must be a size like 64MiB, 10GB or 4096`},
		{"part of a byte", "buffer: {bytes: 1.5B}", `worker.yaml:4:17: buffer.bytes is "1.5B", must be a size`},
		{"size out of range", "buffer: {bytes: 99999999TiB}", `worker.yaml:4:17: buffer.bytes is "99999999TiB", which is out of range`},
		{"not a number", "tenants: {default: {high: .nan}}", `worker.yaml:4:27: tenants.default.high is ".nan"`},
		{"unknown word", "log: {level: loud}", `worker.yaml:4:14: log.level is "loud", must be one of debug, info, warn, error`},
		{"policy of a later version", "tenants: {default: {on_overflow: spill}}", `worker.yaml:4:34: tenants.default.on_overflow is "spill", must be one of delay, hold`},
		{"zero that would be the default", "workers: 0", `worker.yaml:4:10: workers is 0, must not be; leave the key out for the default`},
		{"zero of an override", "tenants: {overrides: {a: {queue: 0}}}", `worker.yaml:4:34: tenants.overrides.a.queue is 0, must not be`},
		{"below the bound", "ack_wait: 1ms", `worker.yaml:4:11: ack_wait is 1ms, must be between 1s and`},
		{"policy out of bounds", "tenants: {default: {weight: 2000}}", `worker.yaml:4:29: tenants.default.weight is 2000, must be between 0.001 and 1000`},
		{"override out of bounds", "tenants: {overrides: {a.b: {weight: 2000}}}", `worker.yaml:4:37: tenants.overrides.a.b.weight is 2000, must be between`},
		{"override that holds alone", "tenants: {overrides: {a: {on_overflow: hold}}}", `worker.yaml:4:40: tenants.overrides.a.on_overflow is hold and tenants.default.on_overflow is delay: hold can only be chosen for all tenants`},
		{"low above high", "tenants: {overrides: {a: {low: 0.9}}}", `worker.yaml:4:32: tenants.overrides.a.low is 0.9, must be between 0 and 0.75`},
		{"negative jitter", "retry: {jitter: -0.1}", `worker.yaml:4:17: retry.jitter is -0.1, must not be negative`},
		{"max below initial", "retry: {initial: 1m, max: 1s}", `worker.yaml:4:27: retry.max is 1s, must be between 1m0s and`},
		{"one stream for two", "overflow: {stream: JOBS}", `worker.yaml:1:9: stream, overflow.stream and dead_letter.stream must be three streams, are "JOBS", "JOBS" and "JOBS_DEAD"`},
		{"bad subject", "filter_subjects: [a, b..c]", `worker.yaml:4:22: filter_subjects[1] is "b..c": a subject must not contain an empty token`},
		{"two ways to find the tenant", "tenant: {subject_token: 1, header: X}", `worker.yaml:4:9: tenant has subject_token and header, must have one of them`},
		{"fallback of nothing", "tenant: {fallback: x}", `worker.yaml:4:20: tenant.fallback is for messages that tell no tenant`},
		{"no server", "nats: {url: \"\"}", `worker.yaml:4:13: nats.url is "", must be like nats://127.0.0.1:4222`},
		{"server of another kind", "nats: {url: \"nats://a,http://u:p@b\"}", `worker.yaml:4:13: nats.url is "nats://a,http://***@b", must be like nats://127.0.0.1:4222`},
		{"half a certificate", "nats: {tls: {cert: x}}", `worker.yaml:4:13: nats.tls.cert and nats.tls.key must be given together`},
		{"no address", "ops: {listen: here}", `worker.yaml:4:15: ops.listen is "here", must be host:port like 127.0.0.1:8080, or empty for none`},
		{"duplicate key", "stream: X", `worker.yaml:4:1: mapping key "stream" already defined at [1:1]`},
		{"alias without an anchor", "buffer: *b", `worker.yaml:4:9: alias *b has no anchor`},
		{"tag", "workers: !!int 5", `worker.yaml:4:10: tag !!int is not supported`},
		{"second document", "---\nstream: X", `worker.yaml:4:1: a second document begins here, there must be one`},
		{"syntax", "buffer: {", `worker.yaml:4:9: `},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := problems(t, minimal+tt.line+"\n", config.Sources{})
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("problems are\n%s\nwant one:\n%s", strings.Join(got, "\n"), tt.want)
			}
		})
	}
}

func TestMistakesOfHandlersAreToldWithTheirPlace(t *testing.T) {
	for _, tt := range []struct{ name, handler, want string }{
		{"no subject", "discard: {}", `worker.yaml:3:12: handlers[0].subject is required`},
		{"no kind", "subject: a", `worker.yaml:3:12: handlers[0] has none of http, exec and discard, must have one`},
		{"two kinds", "subject: a, discard: {}, exec: {command: [x]}", `worker.yaml:3:12: handlers[0] has 2 of http, exec and discard, must have one`},
		{"no URL", "subject: a, http: {}", `worker.yaml:3:31: handlers[0].http.url is "", must be like http://`},
		{"no host", `subject: a, http: {url: "http://:80/x"}`, `worker.yaml:3:37: handlers[0].http.url is "http://:80/x", must be like http://`},
		{"port out of range", `subject: a, http: {url: "http://h:99999/x"}`, `worker.yaml:3:37: handlers[0].http.url is "http://h:99999/x", must have a port between 1 and 65535`},
		{"fragment", `subject: a, http: {url: "http://h/x#y"}`, `worker.yaml:3:37: handlers[0].http.url is "http://h/x#y", must have no fragment`},
		{"other scheme", `subject: a, http: {url: "ftp://u:p@x"}`, `worker.yaml:3:37: handlers[0].http.url is "ftp://***@x", must be like http://`},
		{"status of overload", `subject: a, http: {url: "http://x", dead_letter_on: [400, 429]}`, `worker.yaml:3:71: handlers[0].http.dead_letter_on[1] is 429, which means overload`},
		{"no status", `subject: a, http: {url: "http://x", dead_letter_on: [200]}`, `worker.yaml:3:66: handlers[0].http.dead_letter_on[0] is 200, must be a status between 300 and 599`},
		{"header with value and file", `subject: a, http: {url: "http://x", headers: {A: {value: v, file: f}}}`, `worker.yaml:3:62: handlers[0].http.headers.A must have a value or a file`},
		{"header of the connection", `subject: a, http: {url: "http://x", headers: {content-length: "3"}}`, `worker.yaml:3:75: handlers[0].http.headers.content-length cannot be set`},
		{"injected header", `subject: a, http: {url: "http://x", headers: {A: "b\r\nC: d"}}`, `worker.yaml:3:62: handlers[0].http.headers.A must not hold line breaks`},
		{"no command", "subject: a, exec: {command: []}", `worker.yaml:3:31: handlers[0].exec.command is required`},
		{"negative delay", "subject: a, discard: {delay: -1s}", `worker.yaml:3:42: handlers[0].discard.delay is -1s, must not be negative`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := problems(t, "stream: J\ndurable: d\nhandlers: [{"+tt.handler+"}]\n", config.Sources{})
			if len(got) != 1 || !strings.HasPrefix(got[0], tt.want) {
				t.Errorf("problems are\n%s\nwant one:\n%s", strings.Join(got, "\n"), tt.want)
			}
		})
	}
}

func TestAllMistakesAreToldAtOnceAndInTheOrderOfTheFile(t *testing.T) {
	got := problems(t, "strem: X\nworkers: -3\ndurable: a.b\nack_wait: 5\nhandlers: [{subject: a, dicard: {}}]\n", config.Sources{
		Environ: []string{"SPILLWAY_RETRY_JITTER=much"},
		Set:     []string{"manage=perhaps", "nope"},
	})
	want := []string{
		"SPILLWAY_RETRY_JITTER: retry.jitter is", "--set manage: manage is", "--set nope: must be key=value",
		`worker.yaml:1:1: unknown key "strem" (did you mean "stream"?)`,
		"worker.yaml:2:10: workers is -3, must be between 1 and", "worker.yaml:3:10: durable is",
		"worker.yaml:4:11: ack_wait is 5", `worker.yaml:5:25: unknown key "handlers[0].dicard" (did you mean "discard"?)`,
	}
	if len(got) != len(want) {
		t.Fatalf("problems are\n%s\nwant %d", strings.Join(got, "\n"), len(want))
	}
	for i := range want {
		if !strings.HasPrefix(got[i], want[i]) {
			t.Errorf("problem %d is %q, want %q", i, got[i], want[i])
		}
	}
}

func TestWhatIsMissingIsTold(t *testing.T) {
	got := problems(t, "", config.Sources{})
	want := []string{"worker.yaml: handlers is empty", "worker.yaml: stream is required", "worker.yaml: durable is required"}
	for i, line := range got {
		if i >= len(want) || !strings.HasPrefix(line, want[i]) {
			t.Errorf("problem %d is %q", i, line)
		}
	}
}

func TestAMistakeFromTheEnvironmentNamesTheVariable(t *testing.T) {
	for variable, want := range map[string]string{
		"SPILLWAY_WORKERS=many":    `SPILLWAY_WORKERS: workers is "many", must be a whole number`,
		"SPILLWAY_WORKERS=-1":      `SPILLWAY_WORKERS: workers is -1, must be between 1 and 65536`,
		"SPILLWAY_ACK_WAIT=30":     `SPILLWAY_ACK_WAIT: ack_wait is 30, which has no unit; write 30s for seconds or 30ms for milliseconds`,
		"SPILLWAY_BUFFER_BYTES=1T": `SPILLWAY_BUFFER_BYTES: buffer.bytes is "1T", must be a size like 64MiB, 10GB or 4096`,
	} {
		if got := problems(t, minimal, config.Sources{Environ: []string{variable}}); len(got) != 1 || got[0] != want {
			t.Errorf("problems of %s are %q, want %q", variable, got, want)
		}
	}
}

func TestWhatIsHardlyMeantIsWarnedOf(t *testing.T) {
	c := parse(t, `
stream: S
durable: d
subjects: [jobs.>]
filter_subjects: [jobs.acme.>]
handlers:
  - {subject: "jobs.*.x", discard: {}}
  - {subject: "job.*.x", discard: {}}
  - {subject: "jobs.bolt.x", discard: {}}
`, config.Sources{Environ: []string{"SPILLWAY_WORKRES=2", "SPILLWAY_X=secret", "SPILLWAY_CONFIG=f", "SPILLWAY_MSG_SUBJECT=s", "SPILLWAY_WORKERS=1", "OTHER=1"}})
	want := []string{
		"SPILLWAY_WORKRES: warning: ignored, it is of no key (did you mean SPILLWAY_WORKERS?)",
		"SPILLWAY_X: warning: ignored, it is of no key",
		`worker.yaml:8:15: warning: handlers[1].subject is "job.*.x", which matches nothing that is taken, subjects ["jobs.>"] and filter_subjects ["jobs.acme.>"]`,
		`worker.yaml:9:15: warning: handlers[2].subject is "jobs.bolt.x", which matches nothing that is taken, subjects ["jobs.>"] and filter_subjects ["jobs.acme.>"]`,
	}
	if got := c.Warnings(); !slices.Equal(got, want) {
		t.Errorf("warnings are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := parse(t, minimal, config.Sources{}).Warnings(); len(got) != 0 {
		t.Errorf("warnings without a cause: %q", got)
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
tenants: {overrides: {acme: {weight: 4}}}
handlers: [{subject: a, http: {url: "http://bob:hunter2@h/x", headers: {Authorization: "Bearer tok3n"}}}]
`, config.Sources{})
	var out bytes.Buffer
	if err := c.Print(&out); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"hunter2", "bob", "tok3n"} {
		if strings.Contains(out.String(), secret) {
			t.Errorf("%s is shown:\n%s", secret, &out)
		}
	}
	again := parse(t, out.String(), config.Sources{})
	if again.Buffer != c.Buffer || again.Retry != c.Retry || again.Overflow != c.Overflow || again.Tenants.Default != c.Tenants.Default {
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
