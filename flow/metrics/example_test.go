package metrics_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/spillwaymq/spillway/flow"
	"github.com/spillwaymq/spillway/flow/metrics"
)

// A pool whose state Prometheus reads.
func ExamplePool() {
	p, err := flow.NewPool(flow.PoolConfig{Workers: 2})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := metrics.Pool("resize", p)
	if err != nil {
		fmt.Println(err)
		return
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(m)

	for range 3 {
		_ = p.Submit(func(context.Context) {})
	}
	_ = p.Close(context.Background())
	_ = p.TrySubmit(func(context.Context) {}) // closed

	rec := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	for line := range strings.Lines(rec.Body.String()) {
		if strings.HasPrefix(line, "pool_submitted_total") {
			fmt.Print(line)
		}
	}
	// Output:
	// pool_submitted_total{name="resize",result="accepted"} 3
	// pool_submitted_total{name="resize",result="dropped"} 0
	// pool_submitted_total{name="resize",result="rejected"} 1
}

// One request at once; the second, while the first runs, is counted as rejected.
func ExampleAdmission() {
	a, err := flow.NewAdmission(flow.AdmissionConfig{Limit: 1})
	if err != nil {
		fmt.Println(err)
		return
	}
	m, err := metrics.Admission("api", a)
	if err != nil {
		fmt.Println(err)
		return
	}
	reg := prometheus.NewRegistry()
	reg.MustRegister(m)

	var h http.Handler
	h = a.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		second := httptest.NewRecorder()
		h.ServeHTTP(second, r)
		fmt.Println(second.Code)
	}))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/", nil))

	families, err := reg.Gather()
	if err != nil {
		fmt.Println(err)
	}
	for _, f := range families {
		if f.GetName() == "rejected_total" {
			fmt.Println(f.GetName(), f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	// Output:
	// 503
	// rejected_total 1
}
