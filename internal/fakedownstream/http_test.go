package fakedownstream

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, c Config) (*Downstream, *Server, *http.Client) {
	t.Helper()
	d := newDownstream(t, c)
	s, err := Start("127.0.0.1:0", d)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: new(http.Transport)}
	t.Cleanup(client.CloseIdleConnections)
	t.Cleanup(s.Close)
	return d, s, client
}

func request(t *testing.T, client *http.Client, method, url, body string) (status int, header http.Header, text string, err error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp.StatusCode, resp.Header, string(b), err
}

func TestFaultsAreSetOverHTTPAndShow(t *testing.T) {
	_, s, client := serve(t, Config{Service: time.Millisecond, RetryAfter: 1500 * time.Millisecond})
	for _, tt := range []struct {
		set, shown string
		status     int // 0: no answer
		retryAfter string
	}{
		{"kind=none", "none", 200, ""},
		{"kind=slow&factor=1.5", "slow ×1.5", 200, ""},
		{"kind=error", "error", 500, ""},
		{"kind=dead", "dead", 0, ""},
		{"kind=overload&for=1m", "overload", 429, "2"},
		{"kind=none", "none", 200, ""},
	} {
		status, _, body, err := request(t, client, "POST", s.URL()+"/fault?"+tt.set, "")
		if err != nil || status != 200 || !strings.Contains(body, tt.shown) {
			t.Errorf("setting %s: %d %q %v", tt.set, status, body, err)
		}
		status, header, body, err := request(t, client, "POST", s.URL()+"/invoice", "payload")
		if (err != nil) != (tt.status == 0) || status != tt.status || header.Get("Retry-After") != tt.retryAfter {
			t.Errorf("with %s: %d %q %v %v", tt.set, status, body, header, err)
		}
		if status, _, body, err := request(t, client, "GET", s.URL()+"/stats", ""); err != nil || status != 200 || !strings.Contains(body, `"fault":"`+tt.shown+`"`) {
			t.Errorf("with %s stats are %d %q %v", tt.set, status, body, err)
		}
	}
}

func TestAFormSetsAFaultToo(t *testing.T) {
	d, s, client := serve(t, Config{})
	resp, err := client.Post(s.URL()+"/fault", "application/x-www-form-urlencoded", strings.NewReader("kind=slow&factor=3")) //nolint:noctx // ends with the test
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if got := d.Fault(); got.Kind != Slow || got.Factor != 3 {
		t.Errorf("fault is %v", got)
	}
}

func TestWrongRequestsAreRefusedAndChangeNothing(t *testing.T) {
	d, s, client := serve(t, Config{})
	for _, tt := range []struct {
		method, target string
		status         int
		want           string
	}{
		{"POST", "/fault", 400, "kind is missing: must be one of none, slow"},
		{"POST", "/fault?kind=sleepy", 400, `Fault.Kind is "sleepy"`},
		{"POST", "/fault?kind=slow", 400, "Fault.Factor is 0"},
		{"POST", "/fault?kind=slow&factor=ten", 400, `factor is "ten": must be a number`},
		{"POST", "/fault?kind=slow&factor=NaN", 400, "Fault.Factor is NaN"},
		{"POST", "/fault?kind=dead&for=30", 400, `for is "30": must be a duration`},
		{"POST", "/fault?kind=dead&until=30s", 400, `parameter "until" is unknown`},
		{"PUT", "/fault?kind=dead", 405, "PUT is not for /fault"},
		{"POST", "/stats", 405, "POST is not for /stats"},
	} {
		if status, _, body, err := request(t, client, tt.method, s.URL()+tt.target, ""); err != nil || status != tt.status || !strings.Contains(body, tt.want) {
			t.Errorf("%s %s: %d %q %v, want %d %q", tt.method, tt.target, status, body, err, tt.status, tt.want)
		}
	}
	if got := d.Fault(); got.Kind != None || d.Stats().Offered != 0 {
		t.Errorf("fault is %v, %+v", got, d.Stats())
	}
}

func TestACallerWhoHangsUpIsNotServed(t *testing.T) {
	d, s, client := serve(t, Config{})
	fault(t, d, Fault{Kind: Hang})
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL(), strings.NewReader("payload"))
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
		}
		ended <- err
	}()
	await(t, func() bool { return d.Stats().Inside == 1 })
	cancel()
	if err := <-ended; err == nil {
		t.Error("it was answered")
	}
	await(t, func() bool { return d.Stats().Inside == 0 })
}

func TestCloseEndsWhatHangs(t *testing.T) {
	d, s, client := serve(t, Config{})
	fault(t, d, Fault{Kind: Hang})
	ended := make(chan error, 1)
	go func() {
		_, _, _, err := request(t, client, "GET", s.URL(), "")
		ended <- err
	}()
	await(t, func() bool { return d.Stats().Inside == 1 })
	s.Close()
	if err := <-ended; err == nil {
		t.Error("it was answered")
	}
	if _, _, _, err := request(t, client, "GET", s.URL(), ""); err == nil {
		t.Error("it serves still")
	}
}

func TestAnAddressThatIsTakenIsAnError(t *testing.T) {
	d, s, _ := serve(t, Config{})
	if _, err := Start(strings.TrimPrefix(s.URL(), "http://"), d); err == nil {
		t.Error("no error")
	}
}

// await returns when what is true; the time limit of the test is its own.
func await(t *testing.T, what func() bool) {
	t.Helper()
	for !what() {
		select {
		case <-t.Context().Done():
			t.Fatal("never")
		case <-time.After(time.Millisecond):
		}
	}
}
