package ops_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/ops"
)

func TestAPageGetsTheHistoryAndThenEachState(t *testing.T) {
	w := running()
	url, tick := live(t, w, ops.Config{Token: token})
	for i := range 3 {
		settled := map[consumer.Outcome]uint64{consumer.OutcomeAck: uint64(100 * i)}
		w.state.Downstreams = []consumer.DownstreamState{{Downstream: "billing", Settled: settled}}
		tick()
	}
	p := openStream(t, url)
	past := decode[history](t, p.next(), "history")
	if len(past.At) != 3 || past.Series["acked"][0] == nil || *past.Series["acked"][2] != 100 || past.Series["wait_p99"][2] != nil {
		t.Errorf("the history is %+v", past)
	}
	first := decode[told](t, p.next(), "state")
	if first.State.Stream != "JOBS" || first.Rates.Acked != 100 || first.State.Tenants != nil || p.retry == "" {
		t.Errorf("told %+v, with retry %q", first, p.retry)
	}
	tick()
	if next := decode[told](t, p.next(), "state"); next.Charts.At[0]-first.Charts.At[0] != 1000 || next.Rates.Acked != 0 {
		t.Errorf("then told %+v", next)
	}
}

func TestHistoryIsOfAQuarterOfAnHour(t *testing.T) {
	w := running()
	url, tick := live(t, w, ops.Config{})
	for range 1000 {
		tick()
		w.events.Tick(w.state.At) // again of the same moment
	}
	past := decode[history](t, openStream(t, url).next(), "history")
	if n := len(past.At); n != 900 || past.At[n-1]-past.At[0] != 899_000 || past.At[n-1] != w.state.At.UnixMilli() {
		t.Errorf("the history has %d points, from %d to %d", n, past.At[0], past.At[n-1])
	}
}

func TestAPageThatComesBackGetsWhatItMissed(t *testing.T) {
	w := running()
	url, tick := live(t, w, ops.Config{})
	tick()
	p := openStream(t, url)
	p.next()
	id := p.next().id
	_ = p.body.Close()
	tick()
	tick()
	for name, again := range map[string]*page{
		"by the header":       openStream(t, url, func(r *http.Request) { r.Header.Set("Last-Event-ID", id) }),
		"by the query":        openStream(t, url+"?last_event_id="+id),
		"of another process":  openStream(t, url+"?last_event_id=OTHER"+id[strings.Index(id, "."):]),
		"with an id of trash": openStream(t, url+"?last_event_id=%00"),
	} {
		want := 2
		if strings.HasPrefix(name, "of") || strings.HasPrefix(name, "with") {
			want = 3
		}
		if past := decode[history](t, again.next(), "history"); len(past.At) != want {
			t.Errorf("%s: %d points, want %d", name, len(past.At), want)
		}
	}
}

func TestAViewIsChosenByTheWorker(t *testing.T) {
	w := running()
	for i := range 300 {
		w.state.Tenants = append(w.state.Tenants, consumer.TenantState{Tenant: fmt.Sprintf("tenant-%03d", i), Weight: 1, InFlight: 1})
	}
	hurt := func(i int, f func(*consumer.TenantState)) { f(&w.state.Tenants[i]) }
	hurt(7, func(s *consumer.TenantState) { s.Noisy = true })
	hurt(200, func(s *consumer.TenantState) { s.Overflow = 5 })
	hurt(201, func(s *consumer.TenantState) { s.Overflow = 9 })
	hurt(100, func(s *consumer.TenantState) { s.Waiting = &consumer.Waiting{For: consumer.WaitPaused} })
	hurt(250, func(s *consumer.TenantState) { s.Queued = 40; s.InFlight = 9 })
	url, tick := live(t, w, ops.Config{})
	w.events.Handled(consumer.Handled{Tenant: "tenant-123", Wait: time.Second})
	tick()
	for query, want := range map[string]string{
		"top=6":                    "300: 007 201 200 100 250 000",
		"q=ENANT-2&top=3":          "100: 201 200 250",
		"sort=queued&top=2":        "300: 250 000",
		"sort=in_flight&top=1":     "300: 250",
		"sort=overflow&top=2":      "300: 201 200",
		"sort=wait&top=1":          "300: 123",
		"sort=name&top=2&q=-02":    "10: 020 021",
		"q=nobody":                 "0:",
		"q=%3Cscript%3E&sort=":     "0:",
		"top=500&q=99&sort=queued": "3: 099 199 299",
	} {
		p := openStream(t, url+"?"+query)
		p.next()
		s := decode[told](t, p.next(), "state")
		names := make([]string, len(s.Tenants.Rows))
		for i, r := range s.Tenants.Rows {
			names[i] = strings.TrimPrefix(r.Tenant, "tenant-")
		}
		if got := strings.TrimSpace(fmt.Sprintf("%d: %s", s.Tenants.Matched, strings.Join(names, " "))); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
		if s.Totals.Tenants != 300 || s.Totals.Overflow != 14 || s.Totals.Queued != 40 || s.Totals.Waiting != 1 {
			t.Errorf("%s: totals %+v", query, s.Totals)
		}
	}
}

func TestAViewThatIsWrongIsRefused(t *testing.T) {
	h := serve(t, ops.Config{Listen: local})
	for query, want := range map[string]string{
		"top=0":                         `top is "0", must be from 1 to 500`,
		"top=501":                       `top is "501"`,
		"top=many":                      `top is "many"`,
		"sort=age":                      `sort is "age", must be one of harm, queued`,
		"q=" + strings.Repeat("x", 257): "q is 257 bytes long, must be at most 256",
	} {
		wantStatus(t, get(h, "/api/v1/events?"+query), 400, want)
		wantStatus(t, get(h, "/api/v1/state?"+query), 400, want)
	}
}

func TestTheStateCanBeOfSomeTenants(t *testing.T) {
	w := running()
	w.state.Tenants = []consumer.TenantState{{Tenant: "a"}, {Tenant: "b", Queued: 2}, {Tenant: "bb", Queued: 1}}
	var s consumer.Snapshot
	if err := json.NewDecoder(get(serve(t, ops.Config{Consumer: w, Listen: local}), "/api/v1/state?q=B&top=1").Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	if len(s.Tenants) != 1 || s.Tenants[0].Tenant != "b" || s.Stream != "JOBS" {
		t.Errorf("the state is %+v", s)
	}
}

func TestAtMost32PagesAreTold(t *testing.T) {
	w := running()
	url, _ := live(t, w, ops.Config{})
	var first *page
	for range 32 {
		if p := openStream(t, url); first == nil {
			first = p
			p.next()
		}
	}
	resp := request(t, url) //nolint:bodyclose // its cleanup does
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != 503 || !strings.Contains(string(body), "32 streams") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the 33rd is answered %s %s", resp.Status, body)
	}
	_ = first.body.Close()
	for request(t, url).StatusCode != 200 { //nolint:bodyclose // its cleanup does; the server learns of the end when it reads
		time.Sleep(time.Millisecond)
	}
}

func TestAStreamOutlivesTheReadTimeoutOfItsServer(t *testing.T) {
	w := running()
	server := httptest.NewUnstartedServer(serve(t, ops.Config{Consumer: w, Listen: local}))
	server.Config.ReadTimeout = 20 * time.Millisecond
	server.Start()
	defer server.Close()
	defer server.CloseClientConnections()
	p := openStream(t, server.URL+"/api/v1/events")
	p.next()
	p.next()
	time.Sleep(60 * time.Millisecond)
	w.events.Tick(time.Now())
	p.next()
}

func TestAPageIsToldThoughNobodyTicks(t *testing.T) {
	w := running()
	url, _ := live(t, w, ops.Config{})
	p := openStream(t, url)
	p.next()
	p.next()
	p.next() // the page itself asked for it, after some silence
}

func TestAPageThatDoesNotReadIsDroppedAndHoldsNobodyUp(t *testing.T) {
	w := running()
	for i := range 500 {
		w.state.Tenants = append(w.state.Tenants, consumer.TenantState{Tenant: fmt.Sprint(i, strings.Repeat("x", 200))})
	}
	url, tick := live(t, w, ops.Config{})
	slow := openStream(t, url+"?top=500")
	reading := openStream(t, url+"?top=1")
	reading.next()
	reading.next()
	for range 200 { // far more than the sockets hold
		tick()
		reading.next()
	}
	slow.next()
}

func TestNothingGoesOnAfterThePageIsClosed(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	w := running()
	server := httptest.NewServer(serve(t, ops.Config{Consumer: w, Listen: local}))
	ctx, cancel := context.WithCancel(t.Context())
	r, _ := http.NewRequestWithContext(ctx, "GET", server.URL+"/api/v1/events", nil)
	resp, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = resp.Body.Read(make([]byte, 100))
	cancel()
	_ = resp.Body.Close()
	server.Close() // waits for the handler
	server.Client().CloseIdleConnections()
}

func TestAWriterThatCannotStreamIsNotHungOn(t *testing.T) {
	h := serve(t, ops.Config{Listen: local})
	done := make(chan struct{})
	go func() {
		defer close(done)
		w := struct{ http.ResponseWriter }{httptest.NewRecorder()}
		h.ServeHTTP(w, httptest.NewRequest("GET", "http://localhost/api/v1/events", nil))
	}()
	<-done
}
