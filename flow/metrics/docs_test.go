package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillwaymq/spillway/flow"
	"github.com/spillwaymq/spillway/flow/metrics"
)

func TestOperationsTellsEveryMetric(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	told := regexp.MustCompile(`\w+`).FindAllString(string(text), -1)
	pool, err := flow.NewPool(flow.PoolConfig{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = pool.Close(t.Context()) }()
	bulkhead, err := flow.NewBulkhead(flow.BulkheadConfig{Classes: map[string]int{"any": 1}})
	if err != nil {
		t.Fatal(err)
	}
	admission, err := flow.NewAdmission(flow.AdmissionConfig{Limit: 1})
	if err != nil {
		t.Fatal(err)
	}
	must := collector(t)
	descs := make(chan *prometheus.Desc, 64)
	must(metrics.Pool("a", pool)).Describe(descs)
	must(metrics.Bulkhead("a", bulkhead)).Describe(descs)
	must(metrics.Admission("a", admission)).Describe(descs)
	close(descs)
	for d := range descs {
		if name := regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1]; !slices.Contains(told, name) {
			t.Errorf("docs/operations.md does not tell what %s is", name)
		}
	}
}
