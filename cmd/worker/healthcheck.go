package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxHealth bounds how much of a health answer is shown.
const maxHealth = 4 << 10

type healthcheckCommand struct {
	settings

	Ops     string        `placeholder:"URL" help:"Where the worker's operations endpoint is; default: ops.listen of the config."`
	Live    bool          `help:"Ask whether it is alive (livez) in place of ready (readyz)."`
	Timeout time.Duration `default:"5s" help:"How long to wait for the answer (default ${default})."`
}

// Run asks the worker.
func (h *healthcheckCommand) Run(p *process) error {
	base, err := h.base(p)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.Timeout)
	defer cancel()
	path := "/readyz"
	if h.Live {
		path = "/livez"
	}
	return ask(ctx, p.stdout, base.JoinPath(path).String())
}

// base returns the URL of the operations endpoint.
func (h *healthcheckCommand) base(p *process) (*url.URL, error) {
	if h.Ops != "" {
		return parseOps(h.Ops)
	}
	cfg, err := h.load(p)
	if err != nil {
		return nil, err
	}
	if cfg.Ops.Listen == "" {
		return nil, &usageError{fmt.Errorf("%s: ops.listen is empty, so there is nobody to ask", h.Config)}
	}
	return &url.URL{Scheme: "http", Host: reachable(cfg.Ops.Listen)}, nil
}

func parseOps(s string) (*url.URL, error) {
	if !strings.Contains(s, "://") {
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &usageError{fmt.Errorf("--ops is %q, must be like http://127.0.0.1:8080", s)}
	}
	return u, nil
}

// reachable returns where to connect to what listens on addr: all interfaces are no
// address to connect to.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		return net.JoinHostPort("127.0.0.1", port)
	}
	return addr
}

func ask(ctx context.Context, w io.Writer, address string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return &usageError{err}
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	answer := strings.TrimSpace(string(body))
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answers %s: %s", address, resp.Status, answer)
	}
	_, err = fmt.Fprintln(w, answer)
	return err
}
