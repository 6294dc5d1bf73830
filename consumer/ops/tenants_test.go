package ops_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/ops"
)

var _ ops.Tenants = (*consumer.Consumer)(nil)

// changeable is a worker whose tenants can be changed; it remembers how they were.
type changeable struct {
	*worker
	done []string
	err  error
}

func (c *changeable) Tenant(name string) consumer.TenantState {
	return consumer.TenantState{Tenant: name, Weight: 1, Paused: len(c.done) > 0}
}

func (c *changeable) SetTenant(_ context.Context, tenant string, p consumer.TenantPatch, ttl time.Duration) error {
	c.done = append(c.done, inWords(tenant, p, ttl))
	return c.err
}

func (c *changeable) ResetTenant(_ context.Context, tenant string) error {
	c.done = append(c.done, fmt.Sprintf("%q reset", tenant))
	return c.err
}

// order asks for a change, with the token, unless that is changed.
func order(h http.Handler, method, path, body string, change ...func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Host = "localhost:8080"
	r.Header.Set("Authorization", "Bearer "+token)
	for _, f := range change {
		f(r)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, r)
	return rec
}

func controlled(t *testing.T) (*changeable, http.Handler) {
	t.Helper()
	c := &changeable{worker: running()}
	return c, serve(t, ops.Config{Consumer: c, Listen: local, Token: token})
}

func TestAPatchSetsWhatItNames(t *testing.T) {
	for body, want := range map[string]string{
		`{"paused": true}`:                    `"acme" paused true for 0s`,
		`{"paused":false,"ttl":"1h30m"}`:      `"acme" paused false for 1h30m0s`,
		`{"weight": 2.5, "max_in_flight": 0}`: `"acme" weight 2.5 max 0 for 0s`,
		`{"rate": "100/s", "ttl": "10m"}`:     `"acme" rate "100/s" for 10m0s`,
		`{"rate": ""}`:                        `"acme" rate "" for 0s`,
		" {\n\"max_in_flight\" : 4 } \n":      `"acme" max 4 for 0s`,
		`{"paused":true,"weight":2,"max_in_flight":4,"rate":"5/m","ttl":"10m"}`: `"acme" paused true weight 2 max 4 rate "5/m" for 10m0s`,
	} {
		c, h := controlled(t)
		rec := order(h, "PATCH", "/api/v1/tenants/acme", body)
		var got consumer.TenantState
		if err := json.Unmarshal(rec.Body.Bytes(), &got); rec.Code != 200 || err != nil || got.Tenant != "acme" || !got.Paused {
			t.Errorf("%s is answered %d %s", body, rec.Code, rec.Body)
		}
		if len(c.done) != 1 || c.done[0] != want {
			t.Errorf("%s did %q, want %q", body, c.done, want)
		}
	}
}

func TestAWrongPatchIsRefusedInItsOwnWordsAndDoesNothing(t *testing.T) {
	for body, want := range map[string]string{
		``:                               `the body is not JSON, at byte 0: it ends too early`,
		`{`:                              `the body is not JSON`,
		`{"paused": true`:                `it ends too early`,
		`{"paused": tru}`:                `the body is not JSON, at byte`,
		`{"paused": true,}`:              `the body is not JSON`,
		`{"paused": true} {}`:            `goes on after byte`,
		`[]`:                             `the body must be a JSON object, like {"paused": true, "ttl": "10m"}`,
		`null`:                           `the body must be a JSON object`,
		`{}`:                             `nothing is to be set: give one at least of`,
		`{"ttl": "10m"}`:                 `nothing is to be set`,
		`{"pasued": true}`:               `unknown key "pasued", must be one of paused, weight, max_in_flight, rate and ttl`,
		`{"Paused": true}`:               `unknown key "Paused"`,
		`{"paused":true,"paused":false}`: `paused is given twice`,
		`{"paused": "yes"}`:              `paused is "yes", must be true or false`,
		`{"paused": null}`:               `paused is null, must be true or false`,
		`{"weight": "2"}`:                `weight is "2", must be a number`,
		`{"weight": 0}`:                  `weight is 0, must be between 0.001 and 1000`,
		`{"weight": 1e999}`:              `weight is 1e999, must be a number`,
		`{"max_in_flight": 1.5}`:         `max_in_flight is 1.5, must be a whole number`,
		`{"max_in_flight": -1}`:          `max_in_flight is -1, must be between 0 and 65536`,
		`{"rate": 100}`:                  `rate is 100, must be a string like "100/s"`,
		`{"rate": "fast"}`:               `rate is "fast", must be a string like "100/s"`,
		`{"paused":true,"ttl": 600}`:     `ttl is 600, must be a string like "10m"`,
		`{"paused":true,"ttl": "0s"}`:    `ttl is "0s", must be a string like "10m" or "1h30m", above 0`,
		`{"paused":true,"ttl":"-1m"}`:    `ttl is "-1m", must be`,
		`{"weight": -1, "ttl": "x", "colour": 1}`: "ttl is \"x\", must be a string like \"10m\" or \"1h30m\", above 0 and at most \"8784h0m0s\"\nunknown key \"colour\", must be one of paused, weight, max_in_flight, rate and ttl\nweight is -1, must be between 0.001 and 1000\n",
	} {
		c, h := controlled(t)
		rec := order(h, "PATCH", "/api/v1/tenants/acme", body)
		if rec.Code != 400 || !strings.Contains(rec.Body.String(), want) || strings.Contains(rec.Body.String(), "consumer:") {
			t.Errorf("%s is answered %d %s, want 400 and %s", body, rec.Code, rec.Body, want)
		}
		if len(c.done) != 0 {
			t.Errorf("%s did %q", body, c.done)
		}
	}
}

func TestABodyThatIsTooLargeIsRefused(t *testing.T) {
	c, h := controlled(t)
	rec := order(h, "PATCH", "/api/v1/tenants/acme", `{"paused":true`+strings.Repeat(" ", 1<<20)+`}`)
	if rec.Code != 413 || len(c.done) != 0 {
		t.Errorf("answered %d, done %q", rec.Code, c.done)
	}
}

func TestDeleteGoesBackToTheFile(t *testing.T) {
	c, h := controlled(t)
	if rec := order(h, "DELETE", "/api/v1/tenants/acme", ""); rec.Code != 200 || strings.Join(c.done, ";") != `"acme" reset` {
		t.Errorf("answered %d %s, done %q", rec.Code, rec.Body, c.done)
	}
}

func TestWhoMayChangeTenants(t *testing.T) {
	for name, tt := range map[string]struct {
		listen, token string
		change        func(r *http.Request)
		want          int
	}{
		"the token":                     {local, token, nil, 200},
		"the token, from anywhere":      {public, token, host("worker.example"), 200},
		"any case of the scheme":        {local, token, func(r *http.Request) { r.Header.Set("Authorization", "bearer "+token) }, 200},
		"no token, on this machine":     {local, token, func(r *http.Request) { r.Header.Del("Authorization") }, 401},
		"a wrong token":                 {local, token, bearer("other"), 401},
		"part of the token":             {local, token, bearer(token[:3]), 401},
		"an empty token":                {local, token, bearer(""), 401},
		"the token as password":         {local, token, func(r *http.Request) { r.SetBasicAuth("x", token) }, 401},
		"none configured":               {local, "", nil, 403},
		"none configured, none sent":    {local, "", func(r *http.Request) { r.Header.Del("Authorization") }, 403},
		"none configured, an empty one": {public, "", bearer(""), 403},
		"another site":                  {local, token, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, 403},
		"another origin":                {local, token, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, 403},
		"this origin":                   {local, token, func(r *http.Request) { r.Header.Set("Origin", "http://localhost:8080") }, 200},
	} {
		for _, method := range []string{"PATCH", "DELETE"} {
			c := &changeable{worker: running()}
			h := serve(t, ops.Config{Consumer: c, Listen: tt.listen, Token: tt.token})
			change := tt.change
			if change == nil {
				change = func(*http.Request) {}
			}
			rec := order(h, method, "/api/v1/tenants/acme", `{"paused":true}`, change)
			if rec.Code != tt.want || len(c.done) != 0 != (tt.want == 200) {
				t.Errorf("%s: %s is answered %d %s, done %q; want %d", name, method, rec.Code, rec.Body, c.done, tt.want)
			}
			if challenge := rec.Header().Get("WWW-Authenticate"); (challenge == `Bearer realm="spillway"`) != (tt.want == 401) {
				t.Errorf("%s: the challenge is %q", name, challenge)
			}
		}
	}
}

func TestWhoMaySeeTenants(t *testing.T) {
	for _, path := range []string{"/api/v1/tenants", "/api/v1/tenants/acme"} {
		c := &changeable{worker: running()}
		wantStatus(t, get(serve(t, ops.Config{Consumer: c, Listen: local}), path), 200, "")
		wantStatus(t, get(serve(t, ops.Config{Consumer: c, Listen: public}), path), 403, "no token")
		wantStatus(t, get(serve(t, ops.Config{Consumer: c, Listen: public, Token: token}), path), 401, "the token is needed")
		wantStatus(t, get(serve(t, ops.Config{Consumer: c, Listen: public, Token: token}), path, func(r *http.Request) { r.SetBasicAuth("x", token) }), 200, "")
	}
}

func TestTenantsAreListedAndShown(t *testing.T) {
	c, h := controlled(t)
	wantStatus(t, get(h, "/api/v1/tenants"), 200, "[]")
	c.state.Tenants = []consumer.TenantState{{Tenant: "acme", Override: &consumer.TenantOverride{Weight: &consumer.Override[float64]{Value: 3}}}}
	wantStatus(t, get(h, "/api/v1/tenants"), 200, `"override":{"weight":{"value":3}}`)
	wantStatus(t, get(h, "/api/v1/tenants/nobody"), 200, `"tenant":"nobody"`)
}

func TestOddNamesOfTenantsArriveAsTheyAre(t *testing.T) {
	for path, want := range map[string]string{
		"a%2Fb": "a/b", "%2E": ".", "%2E%2E": "..", "%3Cb%3E": "<b>", "%25": "%", "%C3%BC": "ü", "a.b": "a.b", "-x": "-x", "a%20b": "a b",
	} {
		c, h := controlled(t)
		rec := order(h, "DELETE", "/api/v1/tenants/"+path, "")
		if rec.Code != 200 || len(c.done) != 1 || c.done[0] != fmt.Sprintf("%q reset", want) {
			t.Errorf("%s is answered %d %s, done %q", path, rec.Code, rec.Body, c.done)
		}
	}
	for _, path := range []string{"%00", "%FF", "a%0Ab", strings.Repeat("x", 257)} {
		c, h := controlled(t)
		if rec := order(h, "PATCH", "/api/v1/tenants/"+path, `{"paused":true}`); rec.Code != 400 || len(c.done) != 0 {
			t.Errorf("%s is answered %d %s, done %q", path, rec.Code, rec.Body, c.done)
		}
	}
}

func TestWhatFailsSaysWhoseFaultItIs(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want int
	}{
		{fmt.Errorf("x: %w", consumer.ErrPatch), 400},
		{fmt.Errorf("x: %w", consumer.ErrLivePolicyOff), 409},
		{fmt.Errorf("x: %w", consumer.ErrTooManyOverrides), 409},
		{fmt.Errorf("x: %w", consumer.ErrOverrideConflict), 409},
		{nats.ErrTimeout, 503},
		{context.DeadlineExceeded, 503},
		{errors.New("NATS is reconnecting"), 503},
	} {
		c, h := controlled(t)
		c.err = tt.err
		for _, method := range []string{"PATCH", "DELETE"} {
			rec := order(h, method, "/api/v1/tenants/acme", `{"paused":true}`)
			if rec.Code != tt.want || (rec.Header().Get("Retry-After") != "") != (tt.want == 503) {
				t.Errorf("%v is answered %d, Retry-After %q; want %d", tt.err, rec.Code, rec.Header().Get("Retry-After"), tt.want)
			}
		}
	}
}

func TestOtherMethodsOfTenantsAreRefused(t *testing.T) {
	c, h := controlled(t)
	for path, allow := range map[string]string{"/api/v1/tenants": "GET, HEAD", "/api/v1/tenants/acme": "DELETE, GET, HEAD, PATCH"} {
		for _, method := range []string{"POST", "PUT", "OPTIONS"} {
			if rec := order(h, method, path, `{"paused":true}`); rec.Code != 405 || rec.Header().Get("Allow") != allow {
				t.Errorf("%s %s is answered %d, Allow %q", method, path, rec.Code, rec.Header().Get("Allow"))
			}
		}
	}
	for _, path := range []string{"/api/v1/tenants/", "/api/v1/tenants/a/b"} {
		if rec := order(h, "PATCH", path, `{"paused":true}`); rec.Code != 404 {
			t.Errorf("%s is answered %d", path, rec.Code)
		}
	}
	wantStatus(t, order(serve(t, ops.Config{Consumer: running(), Listen: local, Token: token}), "PATCH", "/api/v1/tenants/a", "{}"), 404, "")
	if len(c.done) != 0 {
		t.Errorf("done %q", c.done)
	}
}

func TestAPageIsToldWhetherTenantsCanBeChanged(t *testing.T) {
	for name, tt := range map[string]struct {
		changeable bool
		token      string
		want       bool
	}{
		"with the token":                      {true, token, true},
		"without a token":                     {true, "", false},
		"where there is nobody to change one": {false, token, false},
	} {
		w := running()
		cfg := ops.Config{Token: tt.token}
		if tt.changeable {
			cfg.Consumer = &changeable{worker: w}
		}
		url, tick := live(t, w, cfg)
		tick()
		p := openStream(t, url)
		p.next()
		if got := decode[told](t, p.next(), "state"); got.Control != tt.want {
			t.Errorf("%s a page is told %v", name, got.Control)
		}
	}
}

func FuzzPatch(f *testing.F) {
	for _, s := range []string{`{"paused":true}`, `{"ttl":"1m","rate":"1/s"}`, `[`, `{"weight":{}}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		c := &changeable{worker: running()}
		h, err := ops.New(ops.Config{Consumer: c, Listen: local, Token: token})
		if err != nil {
			t.Fatal(err)
		}
		rec := order(h, "PATCH", "/api/v1/tenants/acme", body)
		if rec.Code != 200 && rec.Code != 400 && rec.Code != 413 || (rec.Code == 200) != (len(c.done) == 1) {
			t.Errorf("%q is answered %d %s, done %q", body, rec.Code, rec.Body, c.done)
		}
	})
}
