package metrics

import (
	"fmt"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves what cs collect, and what Go and the operating system tell of the
// process, from a registry of its own. It is for programs that have no registry; one
// that has registers its Collectors there. Beside those of this package cs may be any
// others, such as those of flow/metrics. Two collectors that cannot stand beside each
// other, such as two of one stream and durable, are an error.
func Handler(cs ...prometheus.Collector) (http.Handler, error) {
	r := prometheus.NewRegistry()
	all := []prometheus.Collector{
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	}
	for i, c := range cs {
		if own, ok := c.(*Collector); c == nil || ok && own == nil {
			return nil, fmt.Errorf("metrics: collector %d is nil", i)
		}
		all = append(all, c)
	}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("metrics: %w", err)
		}
	}
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{
		// A scrape that failed in part shows the rest.
		ErrorHandling:       promhttp.ContinueOnError,
		MaxRequestsInFlight: maxScrapes,
	}), nil
}

// maxScrapes bounds what an endpoint that is open to all may cost at once.
const maxScrapes = 4
