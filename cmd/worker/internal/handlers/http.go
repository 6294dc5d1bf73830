package handlers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/spillwaymq/spillway/consumer"
)

const (
	// maxAnswer bounds how much of an answer is read so that its connection can be
	// used again.
	maxAnswer = 64 << 10

	connectTimeout = 10 * time.Second
	idleTimeout    = 90 * time.Second
)

// HTTPConfig says how messages are posted.
type HTTPConfig struct {
	// URL is where to. Required.
	URL string
	// Headers are sent with each message; they win over the message's own.
	Headers map[string]HeaderValue
	// DeadLetterOn are the statuses that mean that a repetition is of no use.
	DeadLetterOn []int
	// Connections is how many idle connections are kept: as many as there are
	// workers. Default 64.
	Connections int
	// UserAgent is who we are, if the message does not say.
	UserAgent string
}

// HTTP posts the payload of a message. Make one with NewHTTP.
type HTTP struct {
	cfg    HTTPConfig
	client *http.Client
}

// NewHTTP returns an HTTP, or why a request could not be made.
func NewHTTP(cfg HTTPConfig) (*HTTP, error) {
	if _, err := http.NewRequest(http.MethodPost, cfg.URL, nil); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	for name, v := range cfg.Headers {
		if _, err := v.read(); err != nil {
			return nil, fmt.Errorf("headers: %s: %w", name, err)
		}
	}
	if cfg.Connections <= 0 {
		cfg.Connections = 64
	}
	return &HTTP{cfg: cfg, client: &http.Client{
		Transport:     newTransport(cfg.Connections),
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

func newTransport(connections int) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: connectTimeout, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout:   connectTimeout,
		MaxIdleConns:          connections,
		MaxIdleConnsPerHost:   connections,
		IdleConnTimeout:       idleTimeout,
		ExpectContinueTimeout: time.Second,
		ForceAttemptHTTP2:     true,
	}
}

// Close closes the connections that are not in use.
func (h *HTTP) Close() { h.client.CloseIdleConnections() }

// Handle posts m and returns what the answer means.
func (h *HTTP) Handle(ctx context.Context, m *consumer.Message) error {
	req, err := h.request(ctx, m)
	if err != nil {
		// What is wrong is ours: no attempt of the message is spent on it.
		return consumer.Overloaded(err, 0)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return requestError(req, err)
	}
	defer func() { _ = resp.Body.Close() }()
	// The status is the answer; a body that breaks off changes nothing.
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return h.verdict(resp, body, time.Now())
}

// request makes the request. Because it has an Idempotency-Key and a body that can be
// read again, net/http repeats it by itself when a kept connection turns out closed.
func (h *HTTP) request(ctx context.Context, m *consumer.Message) (*http.Request, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.cfg.URL, bytes.NewReader(m.Data))
	if err != nil {
		return nil, err
	}
	req.Header = passed(m.Header)
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", h.cfg.UserAgent)
	}
	for _, f := range factsOf(m) {
		req.Header.Set("Spillway-"+f.name, f.value)
	}
	req.Header.Set("Idempotency-Key", idempotencyKey(m))
	for name, v := range h.cfg.Headers {
		value, err := v.read()
		if err != nil {
			return nil, fmt.Errorf("header %s: %w", name, err)
		}
		req.Header.Set(name, value)
	}
	if host := req.Header.Get("Host"); host != "" { // only ours: the message's does not pass
		req.Host = host
		req.Header.Del("Host")
	}
	return req, nil
}

// verdict returns what an answer means for the message.
func (h *HTTP) verdict(resp *http.Response, body []byte, now time.Time) error {
	if resp.StatusCode/100 == 2 {
		return nil
	}
	err := statusError(resp, body)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		return consumer.Overloaded(err, retryAfter(resp.Header.Get("Retry-After"), now))
	case slices.Contains(h.cfg.DeadLetterOn, resp.StatusCode):
		return consumer.DeadLetter(err)
	}
	return err
}

// requestError tells the host alone of the URL: the rest may hold a secret, and errors
// are logged and kept in dead letters.
func requestError(req *http.Request, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err
	}
	return fmt.Errorf("http: post to %s: %w", req.URL.Host, err)
}

func statusError(resp *http.Response, body []byte) error {
	text := "http: answer " + resp.Status
	if resp.StatusCode/100 == 3 {
		text += ", and redirects are not followed, to " + resp.Header.Get("Location")
	}
	if answer := shorten(body); answer != "" {
		text += ": " + answer
	}
	return errors.New(plain(text))
}
