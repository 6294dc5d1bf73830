package flow_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/spillwaymq/spillway/flow"
)

// One request at once. While it runs another one is refused, and the health check is not.
func ExampleAdmission() {
	a, err := flow.NewAdmission(flow.AdmissionConfig{Limit: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	entered, free := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(a.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			close(entered)
			<-free
		}
	})))
	get := func(path string) (status string, header http.Header) {
		res, err := http.Get(server.URL + path)
		if err != nil {
			return err.Error(), nil
		}
		_ = res.Body.Close()
		return res.Status, res.Header
	}
	slow := make(chan string)
	go func() {
		status, _ := get("/slow")
		slow <- status
	}()
	<-entered
	for _, path := range []string{"/", "/livez"} {
		status, h := get(path)
		fmt.Printf("%s: %s, in flight %s, retry after %q\n", path, status, h.Get("X-Inflight"), h.Get("Retry-After"))
	}
	close(free)
	fmt.Println("/slow", <-slow)
	server.Close()
	fmt.Println("rejected:", a.Stats().Rejected)
	// Output:
	// /: 503 Service Unavailable, in flight 1, retry after "1"
	// /livez: 200 OK, in flight 1, retry after ""
	// /slow 200 OK
	// rejected: 1
}

// limiter stands for the package of that name, with an adaptive *limiter.Limiter.
var limiter stand

type (
	stand   struct{}
	outcome uint8
	permit  struct{}
)

func (stand) TryAcquire() (permit, bool) { return permit{}, true }
func (permit) Release(o outcome)         { fmt.Println("released with outcome", o) }

// A limiter whose permits are told how the call ended decides by way of a LimiterFunc.
func ExampleLimiterFunc() {
	a, err := flow.NewAdmission(flow.AdmissionConfig{
		Limiter: flow.LimiterFunc(func() (func(flow.Outcome), bool) {
			p, ok := limiter.TryAcquire()
			return func(o flow.Outcome) { p.Release(outcome(o)) }, ok // limiter.Outcome(o)
		}),
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	h := a.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusGatewayTimeout)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))
	// Output: released with outcome 2
}
