package ops

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/spillwaymq/spillway/consumer"
)

// Worker is what is shown: a *consumer.Consumer.
type Worker interface {
	Ready() error
	Snapshot() consumer.Snapshot
	Observe(o consumer.Observer) error
}

// Config says what is served to whom.
type Config struct {
	// Consumer is what is shown. Required. It must not run yet: the page has its history
	// from the start. If it is a Tenants too, its tenants can be changed.
	Consumer Worker
	// Metrics answers /metrics. Default: that path does not exist.
	Metrics http.Handler
	// Listen is the address the handler is served on, as for http.Server. It decides
	// who may see the state; see the package comment. Default: one that everybody
	// reaches.
	Listen string
	// Token lets who has it see the state and change tenants. It must be printable ASCII without
	// spaces. Default: none.
	Token string
	// Logger gets what went wrong in serving. Default: nothing is logged.
	Logger *slog.Logger
}

func (cfg Config) validate() error {
	var errs []error
	if cfg.Consumer == nil {
		errs = append(errs, errors.New("ops: Consumer is required"))
	}
	// The token itself is a secret, and not part of the message.
	if i := strings.IndexFunc(cfg.Token, func(r rune) bool { return r <= ' ' || r > '~' }); i >= 0 {
		errs = append(errs, fmt.Errorf("ops: Token has a character at byte %d that is not printable ASCII, or a space", i))
	}
	if cfg.Listen != "" {
		if _, _, err := net.SplitHostPort(cfg.Listen); err != nil {
			errs = append(errs, fmt.Errorf("ops: Listen is %q, must be host:port: %w", cfg.Listen, err))
		}
	}
	return errors.Join(errs...)
}

type server struct {
	worker Worker
	waits  *waits
	guard  guard
	live   liveness
	log    *slog.Logger
}

// New returns the handler that cfg describes.
func New(cfg Config) (http.Handler, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	tenants, ok := cfg.Consumer.(Tenants)
	seen := newSampler(cfg.Consumer, ok && cfg.Token != "")
	if err := cfg.Consumer.Observe(seen.observer()); err != nil {
		return nil, fmt.Errorf("ops: %w", err)
	}
	s := &server{
		worker: cfg.Consumer,
		waits:  seen.waits,
		guard:  newGuard(cfg.Token, isLoopback(cfg.Listen)),
		log:    cfg.Logger,
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", s.livez)
	mux.HandleFunc("GET /readyz", s.readyz)
	mux.Handle("GET /api/v1/state", s.guard.protect(http.HandlerFunc(s.state)))
	mux.Handle("GET /api/v1/events", s.guard.protect(&stream{sampler: seen}))
	mux.Handle("GET /{$}", s.guard.protect(newPage(cfg.Metrics != nil)))
	mux.Handle("GET /assets/", s.guard.protect(assets()))
	if ok {
		s.serveTenants(mux, tenants)
	}
	if cfg.Metrics != nil {
		mux.Handle("GET /metrics", cfg.Metrics)
	}
	return secure(mux), nil
}

// isLoopback reports whether only programs of this machine reach a listen address. A
// host name counts only if it is localhost: what another one means can change.
func isLoopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	return err == nil && isLoopbackHost(host)
}

func isLoopbackHost(host string) bool {
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil && addr.Unmap().IsLoopback()
}

// secure sets the headers that every answer has. What is shown is of this moment and
// meant for who asked: nothing keeps it, guesses at its type or puts it in a frame.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		next.ServeHTTP(w, r)
	})
}
