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

	"github.com/spillwaymq/spillway/cmd/worker/internal/config"
)

// maxHealth bounds how much of a health answer is shown.
const maxHealth = 4 << 10

type healthcheckCommand struct {
	settings

	Ops       string        `placeholder:"URL" help:"Where the worker's operations endpoint is; default: ops.listen of the config, which is not read otherwise."`
	TokenFile string        `placeholder:"FILE" help:"The file of a token to send. The worker does not ask for one here; a proxy before it may."`
	Live      bool          `help:"Ask whether it is alive (livez) in place of ready (readyz)."`
	Timeout   time.Duration `default:"5s" help:"How long to wait for the answer (default ${default})."`
}

// Validate is called by kong.
func (h *healthcheckCommand) Validate() error {
	if h.Timeout <= 0 {
		return fmt.Errorf("--timeout is %v, must be positive", h.Timeout)
	}
	return nil
}

// Run asks the worker.
func (h *healthcheckCommand) Run(p *process) error {
	token, err := readToken("--token-file", h.TokenFile)
	if err != nil {
		return err
	}
	base, _, err := opsBase(p, &h.settings, h.Ops)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.Timeout)
	defer cancel()
	path := "/readyz"
	if h.Live {
		path = "/livez"
	}
	answer, err := ask(ctx, base.JoinPath(path), token)
	if err != nil {
		return askError(err, base, h.Timeout, h.Ops, h.Config)
	}
	_, err = fmt.Fprintln(p.stdout, answer)
	return err
}

// opsBase returns the URL of the operations endpoint: given, or that of the config, which is
// returned too then.
func opsBase(p *process, s *settings, given string) (*url.URL, *config.Config, error) {
	if given != "" {
		u, err := parseOps(given)
		return u, nil, err
	}
	cfg, err := s.load(p)
	if err != nil {
		return nil, nil, err
	}
	if cfg.Ops.Listen == "" {
		return nil, nil, &usageError{fmt.Errorf("%s: ops.listen is empty, so there is nobody to ask", s.Config)}
	}
	if _, port, _ := net.SplitHostPort(cfg.Ops.Listen); port == "0" {
		return nil, nil, &usageError{fmt.Errorf("%s: ops.listen is %s, so the system chose the port: give the address that the worker logged with --ops", s.Config, cfg.Ops.Listen)}
	}
	return &url.URL{Scheme: "http", Host: reachable(cfg.Ops.Listen)}, cfg, nil
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

// ask returns what the worker answers, or an error unless it is 200. A redirect is not
// followed: it leads to a login, say, which is healthy without the worker.
func ask(ctx context.Context, address *url.URL, token string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return "", &usageError{err}
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	resp, err := client.Do(req)
	if err != nil {
		return "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxHealth))
	answer := printableLines(strings.TrimSpace(string(body)))
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s answers %s: %s", address.Redacted(), resp.Status, answer)
	}
	return answer, nil
}
