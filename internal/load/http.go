package load

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// TenantMark is what stands for the tenant of a request in a URL, a header or a subject.
const TenantMark = "{tenant}"

// HTTPConfig says what is requested. URL is required.
type HTTPConfig struct {
	URL    string      // of http or https; may hold {tenant}
	Method string      // default GET, or POST with a Body
	Header http.Header // values may hold {tenant}
	Body   []byte

	// Connections bounds how many connections are kept while they are idle; set it to
	// Config.MaxInFlight. Default 4096. With fewer kept than in flight at times, what is
	// measured is the opening of connections.
	Connections int
}

// HTTP is a Target. A request is done when the answer was read to its end, and a success
// if its status is 200 to 299. Redirects are not followed.
type HTTP struct {
	cfg       HTTPConfig
	url       *url.URL // nil: it depends on the tenant
	transport *http.Transport
}

// NewHTTP returns the target, or all that is wrong with c. It connects to nobody.
func NewHTTP(c HTTPConfig) (*HTTP, error) {
	if c.Method == "" {
		c.Method = http.MethodGet
		if len(c.Body) > 0 {
			c.Method = http.MethodPost
		}
	}
	c.Connections = orDefault(c.Connections, defaultInFlight)
	u, err := parseURL(expand(c.URL, "tenant", url.PathEscape))
	err = errors.Join(err, within("HTTPConfig.Connections", c.Connections, 1, maxInFlight))
	if _, rerr := http.NewRequest(c.Method, "http://localhost", nil); rerr != nil {
		err = errors.Join(err, fmt.Errorf("HTTPConfig.Method is %q: must be a method of HTTP", c.Method))
	}
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if strings.Contains(c.URL, TenantMark) {
		u = nil
	}
	return &HTTP{cfg: c, url: u, transport: newTransport(c.Connections)}, nil
}

func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("HTTPConfig.URL is %q: must be like http://127.0.0.1:8080/path", s)
	}
	return u, nil
}

func newTransport(connections int) *http.Transport {
	const dial, idle = 10 * time.Second, 90 * time.Second
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: dial}).DialContext,
		TLSHandshakeTimeout: dial,
		MaxIdleConns:        connections,
		MaxIdleConnsPerHost: connections,
		IdleConnTimeout:     idle,
		DisableCompression:  true, // the answer is thrown away
		ForceAttemptHTTP2:   true,
	}
}

// Start implements Target.
func (h *HTTP) Start(ctx context.Context, c *Call) {
	c.Go(func() {
		ctx, cancel := context.WithDeadline(ctx, c.Deadline())
		defer cancel()
		c.Done(h.request(ctx, c.Tenant))
	})
}

func (h *HTTP) request(ctx context.Context, tenant string) error {
	u := h.url
	if u == nil {
		var err error
		if u, err = parseURL(expand(h.cfg.URL, tenant, url.PathEscape)); err != nil {
			return err
		}
	}
	req := (&http.Request{
		Method: h.cfg.Method, URL: u, Host: u.Host, Header: expandHeader(h.cfg.Header, tenant),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(ctx)
	if req.Header == nil {
		req.Header = make(http.Header) // a transport wants one
	}
	if len(h.cfg.Body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(h.cfg.Body))
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(h.cfg.Body)), nil }
		req.ContentLength = int64(len(h.cfg.Body))
	}
	if host := req.Header.Get("Host"); host != "" {
		req.Host = host
	}
	resp, err := h.transport.RoundTrip(req)
	if err != nil {
		return cause(err)
	}
	_, err = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		return cause(err)
	}
	if resp.StatusCode/100 != 2 {
		return errors.New(strings.TrimSpace(fmt.Sprintf("status %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))))
	}
	return nil
}

// Reach tries to connect, so that an address where nobody is shows at once. It sends no
// request. What is behind a proxy is not tried.
func (h *HTTP) Reach(ctx context.Context) error {
	u, err := parseURL(expand(h.cfg.URL, "tenant", url.PathEscape))
	if err != nil {
		return fmt.Errorf("load: %w", err)
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: u}); err != nil || proxy != nil {
		return nil // a proxy that is misnamed shows in the requests
	}
	port := cmp.Or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	ctx, cancel := context.WithTimeout(ctx, reachTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return fmt.Errorf("load: nobody is at %s: %w", u.Host, cause(err))
	}
	return conn.Close()
}

const reachTimeout = 5 * time.Second

// Close closes the connections. It is for after the last run.
func (h *HTTP) Close() { h.transport.CloseIdleConnections() }

// cause leaves out the addresses of a connection, which differ from one to the next, so
// that failures of one kind have one name.
func cause(err error) error {
	op, ok := errors.AsType[*net.OpError](err)
	if !ok || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return fmt.Errorf("%s: %w", op.Op, op.Err)
}

// expand puts the tenant where its mark is.
func expand(s, tenant string, escape func(string) string) string {
	if !strings.Contains(s, TenantMark) {
		return s
	}
	return strings.ReplaceAll(s, TenantMark, escape(tenant))
}

// expandHeader returns a copy, as those that send it may add to it; nil of nil.
func expandHeader(header map[string][]string, tenant string) map[string][]string {
	if header == nil {
		return nil
	}
	expanded := make(map[string][]string, len(header))
	for name, values := range header {
		for _, v := range values {
			expanded[name] = append(expanded[name], expand(v, tenant, strings.Clone))
		}
	}
	return expanded
}
