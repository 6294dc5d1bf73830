package config_test

import (
	"bytes"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
	"github.com/spillwaymq/spillway/limiter"
	"github.com/spillwaymq/spillway/limiter/redisbucket"
)

const withRedis = `
stream: S
durable: d
handlers: [{subject: b, downstream: billing, discard: {}}]
`

func TestSharedRatesArrive(t *testing.T) {
	c := parse(t, withRedis+`
redis: {url: "redis://h/0", on_error: closed, prefix: p, timeout: 10ms, lease: 1s, processes: 4, password_file: f}
tenants: {default: {rate: {limit: 100/s, shared: true}}, overrides: {acme: {rate: {limit: 5/s, burst: 2, shared: true}}, own: {rate: 7/s}, free: {rate: ""}}}
downstreams: {billing: {rate: {limit: 500/s, burst: 100, shared: true}}}
`, config.Sources{})
	cfg := c.Consumer()
	if d := cfg.Downstreams["billing"]; !d.SharedRate || d.Rate != (limiter.Rate{Events: 500, Per: time.Second, Burst: 100}) {
		t.Errorf("the downstream is %+v", d)
	}
	for tenant, want := range map[string]struct {
		events float64
		burst  int
		shared bool
	}{"else": {100, 0, true}, "acme": {5, 2, true}, "own": {7, 0, false}, "free": {0, 0, false}} {
		p := cfg.Tenants
		cfg.PolicyFor(tenant, &p)
		if p.SharedRate != want.shared || p.Rate.Events != want.events || p.Rate.Burst != want.burst {
			t.Errorf("%s: rate %v, shared %t, want %+v", tenant, p.Rate, p.SharedRate, want)
		}
	}
	l := c.Redis.Limiter()
	if l.Prefix != "p" || l.Lease != time.Second || l.Timeout != 10*time.Millisecond || l.OnError != redisbucket.Closed || l.Processes != 4 {
		t.Errorf("the limiter is %+v", l)
	}
}

func TestTheDefaultsOfRedisGoByTheDurableAndByEachOther(t *testing.T) {
	for text, want := range map[string]config.Redis{
		"":                          {Timeout: 50 * time.Millisecond, Lease: 200 * time.Millisecond},
		"redis: {timeout: 1s}":      {Timeout: time.Second, Lease: 4 * time.Second},
		"redis: {lease: 100ms}":     {Timeout: 25 * time.Millisecond, Lease: 100 * time.Millisecond},
		"redis: {timeout: 5ms}":     {Timeout: 5 * time.Millisecond, Lease: 200 * time.Millisecond},
		"redis: {url: redis://h:1}": {URL: "redis://h:1", Timeout: 50 * time.Millisecond, Lease: 200 * time.Millisecond},
	} {
		want.OnError, want.Processes, want.Prefix = "local", 1, "spillway:rate:S:d"
		if got := parse(t, withRedis+text, config.Sources{}).Redis; got != want {
			t.Errorf("%q: %+v, want %+v", text, got, want)
		}
	}
}

func TestTheURLOfRedisComesFromTheEnvironment(t *testing.T) {
	c := parse(t, withRedis+"downstreams: {billing: {rate: {limit: 5/s, shared: true}}}", config.Sources{Environ: []string{"SPILLWAY_REDIS_URL=rediss://env:1"}})
	if c.Redis.URL != "rediss://env:1" {
		t.Errorf("redis.url is %s", c.Redis.URL)
	}
}

func TestThePasswordsOfRedisAreNotShown(t *testing.T) {
	for _, u := range []string{
		"redis://bob:hunter2@h:1/0", "rediss://:hunter2@h:1?addr=h2:1", "redis+cluster://bob:hunter2@h:1",
		"redis://s:hunter2@h:1/0?master_name=m&username=u&password=hunter2", "redis://bob:hu,hunter2@h:1", "redis://bob:hu%40hunter2@h:1",
		"unix://bob:hunter2@/run/redis.sock?db=1",
	} {
		c := parse(t, withRedis+"redis: {url: \""+u+"\"}", config.Sources{})
		var out bytes.Buffer
		if err := c.Print(&out); err != nil {
			t.Fatal(err)
		}
		shown := out.String() + c.Redis.URL.String()
		if strings.Contains(shown, "hunter2") || strings.Contains(shown, "bob") || strings.Contains(shown, "hu,") {
			t.Errorf("%s is shown as\n%s", u, shown)
		}
		if again := parse(t, out.String(), config.Sources{}); again.Redis.Prefix != c.Redis.Prefix {
			t.Errorf("the printed config has %+v", again.Redis)
		}
	}
}

func TestAPasswordFromAFileComesIntoTheURL(t *testing.T) {
	for u, want := range map[config.RedisURL]string{
		"redis://h:1/0":                          "redis://:p%40%2F%3A@h:1/0",
		"rediss://bob@h:1":                       "rediss://bob:p%40%2F%3A@h:1",
		"redis://h:1?addr=h2:1":                  "redis://:p%40%2F%3A@h:1?addr=h2:1",
		"redis://s:t@h:1?master_name=m&addr=i:1": "redis://s:t@h:1?addr=i%3A1&master_name=m&password=p%40%2F%3A",
	} {
		got := u.With("p@/:")
		if got != want {
			t.Errorf("%s: %s, want %s", u, got, want)
		}
		if _, err := url.Parse(got); err != nil || redisbucket.CheckURL(got) != nil {
			t.Errorf("%s: %s is no URL of a Redis", u, got)
		}
		if u.With("") != string(u) {
			t.Errorf("%s: without a password it is %s", u, u.With(""))
		}
	}
}
