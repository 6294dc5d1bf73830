package config_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
)

func TestMistakesAreToldWithTheirPlace(t *testing.T) {
	for _, tt := range []struct{ name, line, want string }{
		{"unknown key", "wrkers: 3", `worker.yaml:4:1: unknown key "wrkers" (did you mean "workers"?)`},
		{"unknown key inside", "buffer: {messges: 3}", `worker.yaml:4:10: unknown key "buffer.messges" (did you mean "messages"?)`},
		{"bare duration", "ack_wait: 30", `worker.yaml:4:11: ack_wait is 30, which has no unit; write 30s for seconds or 30ms for milliseconds`},
		{"bare duration in quotes", `ack_wait: "1.5"`, `worker.yaml:4:11: ack_wait is 1.5, which has no unit`},
		{"no duration", "ack_wait: soon", `worker.yaml:4:11: ack_wait is "soon", must be a duration like 250ms, 30s or 5m`},
		{"string for a number", `workers: "8"`, `worker.yaml:4:10: workers is "8", must be a whole number`},
		{"fraction for a whole number", "workers: 8.5", `worker.yaml:4:10: workers is 8.5, must be a whole number`},
		{"tab", "buffer:\n\tmessages: 8", `worker.yaml:5:1: there is a tab where YAML wants spaces`},
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
		{"policy that does not exist", "tenants: {default: {on_overflow: burn}}", `worker.yaml:4:34: tenants.default.on_overflow is "burn", must be one of spill, delay, drop, hold`},
		{"zero that would be the default", "workers: 0", `worker.yaml:4:10: workers is 0, must not be; leave the key out for the default`},
		{"zero of an override", "tenants: {overrides: {a: {queue: 0}}}", `worker.yaml:4:34: tenants.overrides.a.queue is 0, must not be`},
		{"below the bound", "ack_wait: 1ms", `worker.yaml:4:11: ack_wait is 1ms, must be between 1s and`},
		{"policy out of bounds", "tenants: {default: {weight: 2000}}", `worker.yaml:4:29: tenants.default.weight is 2000, must be between 0.001 and 1000`},
		{"override out of bounds", "tenants: {overrides: {a.b: {weight: 2000}}}", `worker.yaml:4:37: tenants.overrides.a.b.weight is 2000, must be between`},
		{"override that holds alone", "tenants: {overrides: {a: {on_overflow: hold}}}", `worker.yaml:4:40: tenants.overrides.a.on_overflow is hold and tenants.default.on_overflow is spill: hold can only be chosen for all tenants`},
		{"low above high", "tenants: {overrides: {a: {low: 0.9}}}", `worker.yaml:4:32: tenants.overrides.a.low is 0.9, must be between 0 and 0.75`},
		{"negative jitter", "retry: {jitter: -0.1}", `worker.yaml:4:17: retry.jitter is -0.1, must not be negative`},
		{"max below initial", "retry: {initial: 1m, max: 1s}", `worker.yaml:4:27: retry.max is 1s, must be between 1m0s and`},
		{"one stream for two", "overflow: {stream: JOBS}", `worker.yaml:1:9: stream, overflow.stream and dead_letter.stream must be three streams, are "JOBS", "JOBS" and "JOBS_DEAD"`},
		{"bad subject", "filter_subjects: [a, b..c]", `worker.yaml:4:22: filter_subjects[1] is "b..c": a subject must not contain an empty token`},
		{"two ways to find the tenant", "tenant: {subject_token: 1, header: X}", `worker.yaml:4:9: tenant has subject_token and header, must have one of them`},
		{"fallback of nothing", "tenant: {fallback: x}", `worker.yaml:4:20: tenant.fallback is for messages that tell no tenant`},
		{"downstream of no handler", "downstreams: {biling: {}}", `worker.yaml:4:23: downstreams.biling is used by no handler, must be one of those that handlers name: default`},
		{"algorithm", "downstreams: {default: {limit: {algorithm: fast}}}", `worker.yaml:4:44: downstreams.default.limit.algorithm is "fast", must be one of adaptive, fixed, aimd, vegas, gradient, slo, none`},
		{"limit without target", "downstreams: {default: {limit: {algorithm: slo}}}", `worker.yaml:4:32: downstreams.default.limit.target is 0s, must be above 0 for slo`},
		{"limits crossed", "downstreams: {default: {limit: {min: 9, max: 3}}}", `worker.yaml:4:38: downstreams.default.limit.min is 9, must be at most max, which is 3`},
		{"fixed limit without max", "downstreams: {default: {limit: {algorithm: fixed}}}", `worker.yaml:4:32: downstreams.default.limit.max is 0, must be at least 1 for fixed`},
		{"ratio", "downstreams: {default: {breaker: {failure_ratio: 1.5}}}", `worker.yaml:4:50: downstreams.default.breaker.failure_ratio is 1.5, must be above 0 and at most 1`},
		{"window", "downstreams: {default: {breaker: {window: 10}}}", `worker.yaml:4:43: downstreams.default.breaker.window is 10, which has no unit`},
		{"breakers crossed", "downstreams: {default: {breaker: {open: 1m, max_open: 1s}}}", `worker.yaml:4:55: downstreams.default.breaker.max_open is 1s, must be at least downstreams.default.breaker.open, which is 1m0s`},
		{"rate", "downstreams: {default: {rate: fast}}", `worker.yaml:4:31: downstreams.default.rate is "fast", must be a rate like 100/s, 5/m or 1/h`},
		{"rate of a number", "downstreams: {default: {rate: 100}}", `worker.yaml:4:31: downstreams.default.rate is 100, which has no time; write 100/s for so many a second`},
		{"rate as a list", "downstreams: {default: {rate: [1/s]}}", `worker.yaml:4:31: downstreams.default.rate is a list, must be a rate like 100/s, or {limit: 100/s, burst: 20}`},
		{"burst of no rate", "downstreams: {default: {rate: {burst: 5}}}", `worker.yaml:4:31: downstreams.default.rate.limit is required beside burst, like 100/s`},
		{"shared burst of no rate", "downstreams: {default: {rate: {burst: 5, shared: true}}}", `worker.yaml:4:31: downstreams.default.rate.limit is required beside shared, like 100/s`},
		{"shared rate without Redis", "downstreams: {default: {rate: {limit: 1/s, shared: true}}}", `worker.yaml:4:52: downstreams.default.rate.shared is true, must not be without redis.url, like redis://127.0.0.1:6379/0`},
		{"shared rate of tenants without Redis", "tenants: {default: {rate: {limit: 1/s, shared: true}}}", `worker.yaml:4:48: tenants.default.rate.shared is true, must not be without redis.url`},
		{"shared rate of a tenant without Redis", "tenants: {overrides: {a: {rate: {limit: 1/s, shared: true}}}}", `worker.yaml:4:54: tenants.overrides.a.rate.shared is true, must not be without redis.url`},
		{"no Redis", "redis: {url: \"http://u:secret@x\"}", `worker.yaml:4:14: redis.url must be like redis://127.0.0.1:6379/0: redis: invalid URL scheme: http`},
		{"option of no Redis", "redis: {url: \"redis://x?pool_sise=3\"}", `worker.yaml:4:14: redis.url must be like redis://127.0.0.1:6379/0: redis: unexpected option: pool_sise`},
		{"what to do without Redis", "redis: {on_error: fail}", `worker.yaml:4:19: redis.on_error is "fail", must be one of local, open, closed`},
		{"timeout of Redis", "redis: {url: \"redis://x\", timeout: 1s, lease: 1s}", `worker.yaml:4:36: redis.timeout is 1s, must be from 1ms to 250ms`},
		{"lease", "redis: {url: \"redis://x\", lease: 1h}", `worker.yaml:4:34: redis.lease is 1h0m0s, must be from 20ms to 10s`},
		{"processes", "redis: {url: \"redis://x\", processes: -1}", `worker.yaml:4:38: redis.processes is -1, must be from 1 to 100000`},
		{"prefix", "redis: {url: \"redis://x\", prefix: \"a{b}\"}", `worker.yaml:4:35: redis.prefix is "a{b}", must be at most 128 bytes without braces and spaces`},
		{"two passwords", "redis: {url: \"redis://:secret@x\", password_file: p}", `worker.yaml:4:50: redis.password_file is given, and redis.url has a password: must be one of them`},
		{"password of nothing", "redis: {password_file: p}", `worker.yaml:4:24: redis.password_file is for redis.url, which is empty`},
		{"rate of a tenant", "tenants: {overrides: {a: {rate: 1/year}}}", `worker.yaml:4:33: tenants.overrides.a.rate is "1/year", must be a rate like 100/s`},
		{"burst of a tenant", "tenants: {default: {rate: {limit: 1/s, burst: -1}}}", `worker.yaml:4:47: tenants.default.rate.burst is -1, must be from 0`},
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
