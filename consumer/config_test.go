package consumer_test

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/consumer"
)

func TestValidateNamesTheFieldItsValueAndTheBound(t *testing.T) {
	valid := consumer.Config{Stream: "S", Durable: "d"}
	if err := valid.Validate(); err != nil {
		t.Fatalf("the smallest config: %v", err)
	}
	tests := map[string]struct {
		change func(cfg *consumer.Config)
		want   string
	}{
		"no stream":            {func(c *consumer.Config) { c.Stream = "" }, "Stream is required"},
		"a dotted durable":     {func(c *consumer.Config) { c.Durable = "a.b" }, `Durable is "a.b", must hold only letters`},
		"a long durable":       {func(c *consumer.Config) { c.Durable = strings.Repeat("x", 200) }, "Durable is 200 bytes long, must be at most 128"},
		"a bad subject":        {func(c *consumer.Config) { c.Subjects = []string{"a..b"} }, `Subjects[0] is "a..b"`},
		"a bad filter":         {func(c *consumer.Config) { c.FilterSubjects = []string{"ok", "a.>.b"} }, `FilterSubjects[1] is "a.>.b"`},
		"another deliver":      {func(c *consumer.Config) { c.Deliver = jetstream.DeliverLastPolicy }, "Deliver is last, must be all or new"},
		"negative workers":     {func(c *consumer.Config) { c.Workers = -1 }, "Workers is -1, must be between 1 and 65536"},
		"a short ack wait":     {func(c *consumer.Config) { c.AckWait = time.Millisecond }, "AckWait is 1ms, must be between 1s"},
		"a small buffer":       {func(c *consumer.Config) { c.Buffer.Messages = 3 }, "Buffer.Messages is 3, must be between 4"},
		"few bytes":            {func(c *consumer.Config) { c.Buffer.Bytes = 1 }, "Buffer.Bytes is 1, must be at least 65536"},
		"low above high":       {func(c *consumer.Config) { c.Tenants.High, c.Tenants.Low = 0.5, 0.6 }, "Tenants.Low is 0.6, must be between 0 and 0.5"},
		"NaN":                  {func(c *consumer.Config) { c.Tenants.High = math.NaN() }, "Tenants.High is NaN"},
		"an infinite weight":   {func(c *consumer.Config) { c.Tenants.Weight = math.Inf(1) }, "Tenants.Weight is +Inf"},
		"an unknown policy":    {func(c *consumer.Config) { c.Tenants.OnOverflow = "explode" }, `Tenants.OnOverflow is "explode", must be one of ["spill" "delay" "drop" "hold"]`},
		"max below initial":    {func(c *consumer.Config) { c.Retry.Initial, c.Retry.Max = time.Minute, time.Second }, "Retry.Max is 1s, must be between 1m0s"},
		"a small multiplier":   {func(c *consumer.Config) { c.Retry.Multiplier = 0.5 }, "Retry.Multiplier is 0.5, must be between 1"},
		"one stream for all":   {func(c *consumer.Config) { c.Overflow.Stream = "S" }, "must be three streams"},
		"a negative max bytes": {func(c *consumer.Config) { c.Overflow.MaxBytes = -2 }, "Overflow.MaxBytes is -2"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			cfg := valid
			test.change(&cfg)
			err := cfg.Validate()
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want it to say %q", err, test.want)
			}
		})
	}
	both := consumer.Config{Workers: -1}
	if err := both.Validate(); strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("not all mistakes at once: %v", err)
	}
}

func TestTenantsAreFoundInTokensAndHeaders(t *testing.T) {
	tests := []struct {
		f       consumer.TenantFunc
		subject string
		want    string
	}{
		{consumer.SubjectToken(1), "jobs.acme.x", "jobs"},
		{consumer.SubjectToken(2), "jobs.acme.x", "acme"},
		{consumer.SubjectToken(3), "jobs.acme.x", "x"},
		{consumer.SubjectToken(4), "jobs.acme.x", ""},
		{consumer.SubjectToken(0), "jobs.acme.x", ""},
		{consumer.SubjectToken(4).Or("shared"), "jobs.acme.x", "shared"},
		{consumer.SubjectToken(2).Or("shared"), "jobs.acme.x", "acme"},
		{consumer.Header("T"), "jobs.acme.x", "from header"},
		{consumer.Header("U").Or("none"), "jobs.acme.x", "none"},
	}
	for _, test := range tests {
		if got := test.f(test.subject, map[string][]string{"T": {"from header"}}); got != test.want {
			t.Errorf("got %q, want %q", got, test.want)
		}
	}
}

func TestAMuxTakesTheMostSpecificRouteAndRefusesAmbiguousOnes(t *testing.T) {
	route := func(m *consumer.Mux, subject string) {
		m.HandleFunc(subject, func(context.Context, *consumer.Message) error {
			return consumer.RetryAfter(errNamed(subject), 0)
		})
	}
	var m consumer.Mux
	for _, s := range []string{"jobs.*.invoice", "jobs.>", "jobs.acme.invoice", "jobs.acme.>", "jobs.acme.*", "other"} {
		route(&m, s)
	}
	for subject, want := range map[string]string{
		"jobs.acme.invoice": "jobs.acme.invoice", "jobs.b.invoice": "jobs.*.invoice", "jobs.b.c": "jobs.>", "jobs.acme.c": "jobs.acme.*",
		"jobs.acme.c.d": "jobs.acme.>", "jobs.b.c.d": "jobs.>", "jobs.b": "jobs.>", "other": "other",
	} {
		if got := m.Handle(t.Context(), &consumer.Message{Subject: subject}); got.Error() != want {
			t.Errorf("%s went to %s, want %s", subject, got, want)
		}
	}
	for _, pair := range [][2]string{{"a.*.c", "a.b.*"}, {"*.b", "a.*"}, {"a.>", "*.b"}, {"jobs.*.*", "jobs.acme.>"}} {
		var m consumer.Mux
		route(&m, pair[0])
		route(&m, pair[1])
		if _, err := consumer.New(offline(t), consumer.Config{Stream: "S", Durable: "d"}, &m); err == nil || !strings.Contains(err.Error(), "ambiguous") {
			t.Errorf("%v: got %v", pair, err)
		}
	}
	if _, err := consumer.New(offline(t), consumer.Config{Stream: "S", Durable: "d"}, &m); err != nil {
		t.Errorf("routes whose overlap has a route of its own: %v", err)
	}
	for name, r := range map[string]consumer.Route{
		"there are two routes": {Subject: "twice", Handler: record(nil)}, "Handler is required": {Subject: "a"}, "must not be empty": {Handler: record(nil)}, "Timeout is -1s": {Subject: "a", Handler: record(nil), Timeout: -time.Second},
	} {
		var m consumer.Mux
		route(&m, "twice")
		m.Route(r)
		if _, err := consumer.New(offline(t), consumer.Config{Stream: "S", Durable: "d"}, &m); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%+v: got %v, want %s", r, err, name)
		}
	}
	if _, err := consumer.New(offline(t), consumer.Config{Stream: "S", Durable: "d"}, new(consumer.Mux)); err == nil {
		t.Error("a Mux without routes was taken")
	}
	if _, err := consumer.New(offline(t), consumer.Config{Stream: "S", Durable: "d"}, nil); err == nil {
		t.Error("a nil Handler was taken")
	}
	if _, err := consumer.New(nil, consumer.Config{Stream: "S", Durable: "d"}, record(nil)); err == nil {
		t.Error("a nil JetStream was taken")
	}
}

type errNamed string

func (e errNamed) Error() string { return string(e) }
