package story

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/spillwaymq/spillway/consumer"
	"github.com/spillwaymq/spillway/consumer/metrics"
	"github.com/spillwaymq/spillway/consumer/ops"
	flowmetrics "github.com/spillwaymq/spillway/flow/metrics"
)

// newPage returns what an operator looks at: the page, /livez and /readyz, and /metrics of
// the consumer and of the gateway's admissions. It must be made before the consumer runs.
func newPage(c *consumer.Consumer, g *gateway, listen string, log *slog.Logger) (http.Handler, error) {
	jobs, err := metrics.New(c, metrics.Options{})
	if err != nil {
		return nil, err
	}
	var doors [len(tenants)]*flowmetrics.Collector
	for i, tenant := range tenants {
		if doors[i], err = flowmetrics.Admission(tenant, g.doors[tenant]); err != nil {
			return nil, err
		}
	}
	scrape, err := metrics.Handler(jobs, doors[0], doors[1], doors[2], doors[3])
	if err != nil {
		return nil, err
	}
	return ops.New(ops.Config{Consumer: c, Metrics: scrape, Listen: listen, Logger: log})
}

// A site is an HTTP server.
type site struct {
	server *http.Server
	addr   string
	ended  chan struct{}
}

const (
	headerTimeout = 5 * time.Second
	closeTimeout  = 2 * time.Second
)

// open serves h on l until close.
func open(l net.Listener, h http.Handler) *site {
	s := &site{addr: l.Addr().String(), ended: make(chan struct{}), server: &http.Server{
		Handler: h, ReadHeaderTimeout: headerTimeout,
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}}
	go func() {
		defer close(s.ended)
		_ = s.server.Serve(l) // ErrServerClosed: close is the only end
	}()
	return s
}

// close answers what has been asked, and ends what is left after a moment: a browser keeps
// its connection to the page.
func (s *site) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := s.server.Shutdown(ctx); errors.Is(err, context.DeadlineExceeded) {
		_ = s.server.Close()
	}
	<-s.ended
}
