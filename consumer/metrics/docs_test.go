package metrics_test

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/spillwaymq/spillway/consumer/metrics"
)

func TestOperationsTellsEveryMetric(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	told := regexp.MustCompile(`(?m)^\|.*?\|`).FindAllString(string(text), -1) // first columns
	var names []string
	for _, column := range told {
		names = append(names, regexp.MustCompile(`\bspillway_\w+`).FindAllString(column, -1)...)
	}
	metrics := described(newWorker(t, metrics.Options{}).collector)
	for _, name := range metrics {
		if !slices.Contains(names, name) {
			t.Errorf("docs/operations.md has no row for %s", name)
		}
	}
	for _, name := range names {
		if !slices.Contains(metrics, name) {
			t.Errorf("docs/operations.md has a row for %s, which is no metric", name)
		}
	}
}

// described returns the names of the metrics that c describes.
func described(c prometheus.Collector) (names []string) {
	descs := make(chan *prometheus.Desc)
	go func() {
		c.Describe(descs)
		close(descs)
	}()
	for d := range descs {
		names = append(names, regexp.MustCompile(`fqName: "(\w+)"`).FindStringSubmatch(d.String())[1])
	}
	return names
}
