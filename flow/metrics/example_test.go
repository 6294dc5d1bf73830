package metrics_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

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

	text, err := testutil.GatherAndCount(reg, "pool_submitted_total")
	fmt.Println(text, "series of pool_submitted_total", err)
	err = testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP pool_submitted_total Jobs submitted, by what became of it.
# TYPE pool_submitted_total counter
pool_submitted_total{name="resize",result="accepted"} 3
pool_submitted_total{name="resize",result="dropped"} 0
pool_submitted_total{name="resize",result="rejected"} 1
`), "pool_submitted_total")
	fmt.Println("as expected:", err == nil)
	// Output:
	// 3 series of pool_submitted_total <nil>
	// as expected: true
}
