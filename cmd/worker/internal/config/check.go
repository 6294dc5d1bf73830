package config

import (
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/spillwaymq/spillway/cmd/worker/internal/handlers"
	"github.com/spillwaymq/spillway/cmd/worker/internal/strictyaml"
)

// checker collects what is wrong, and says where it was written.
type checker struct {
	file     string
	origins  origins
	handlers []Handler
	redis    bool // there is one
	problems strictyaml.Problems
}

// report reports a mistake at the key of path.
func (c *checker) report(path, format string, args ...any) {
	o, ok := c.origins.nearest(path)
	if !ok {
		o.source = c.file
	}
	c.problems = append(c.problems, strictyaml.Problem{Path: path, Source: o.source, Position: o.position, Text: fmt.Sprintf(format, args...)})
}

// that reports the mistake if ok is false.
func (c *checker) that(ok bool, path, format string, args ...any) {
	if !ok {
		c.report(path, format, args...)
	}
}

// notNegative reports a number below 0.
func notNegative[T ~int | ~int64 | ~float64](c *checker, path string, v T) {
	c.that(v >= 0, path, "%s is %v, must not be negative", path, v)
}

// checkFile reports what the rules of package consumer do not cover.
func (c *checker) checkFile(f *File) {
	c.that((f.NATS.TLS.Cert == "") == (f.NATS.TLS.Key == ""), "nats.tls", "nats.tls.cert and nats.tls.key must be given together")
	c.checkServers(f.NATS.URL)
	notNegative(c, "tenant.subject_token", f.Tenant.SubjectToken)
	c.that(f.Tenant.SubjectToken == 0 || f.Tenant.Header == "", "tenant", "tenant has subject_token and header, must have one of them")
	from := f.Tenant.SubjectToken != 0 || f.Tenant.Header != "" || f.Tenant.Fallback == ""
	c.that(from, "tenant.fallback", "tenant.fallback is for messages that tell no tenant: give subject_token or header too")
	notNegative(c, "retry.jitter", f.Retry.Jitter)
	c.checkOverrides(f.Tenants)
	c.checkRedis(f)
	c.checkListen(f.Ops.Listen)
	c.that(len(f.Handlers) > 0, "handlers", "handlers is empty: nothing would be done; add {subject: \"…\", http|exec|discard: {…}}")
	for i, h := range f.Handlers {
		c.checkHandler(fmt.Sprintf("handlers[%d]", i), h)
	}
}

// checkOverrides reports a tenant that would hold alone: hold stops the pull, which
// is everybody's.
func (c *checker) checkOverrides(t Tenants) {
	c.checkRate("tenants.default.rate", t.Default.Rate)
	for name, patch := range t.Overrides {
		if patch.Rate != nil {
			c.checkRate("tenants.overrides."+name+".rate", *patch.Rate)
		}
		if patch.OnOverflow != nil && *patch.OnOverflow != t.Default.OnOverflow {
			path := "tenants.overrides." + name + ".on_overflow"
			c.report(path, "%s is %s and tenants.default.on_overflow is %s: hold can only be chosen for all tenants", path, *patch.OnOverflow, t.Default.OnOverflow)
		}
	}
}

// checkServers reports addresses that are of no NATS server. They may lack the scheme.
func (c *checker) checkServers(list URL) {
	for address := range strings.SplitSeq(string(list), ",") {
		scheme, _, given := strings.Cut(strings.TrimSpace(address), "://")
		known := !given || slices.Contains([]string{"nats", "tls", "ws", "wss"}, strings.ToLower(scheme))
		c.that(known && strings.TrimSpace(address) != "", "nats.url", "nats.url is %q, must be like nats://127.0.0.1:4222, several with commas", list)
	}
}

func (c *checker) checkListen(listen string) {
	if listen == "" {
		return
	}
	c.that(IsListen(listen), "ops.listen", "ops.listen is %q, must be host:port like 127.0.0.1:8080, or empty for none", listen)
}

// IsListen reports whether s is host:port with a port in numbers, which can be listened on.
func IsListen(s string) bool {
	_, port, err := net.SplitHostPort(s)
	_, bad := strconv.ParseUint(port, 10, 16)
	return err == nil && bad == nil
}

func (c *checker) checkHandler(path string, h Handler) {
	c.that(h.Subject != "", path, "%s.subject is required", path)
	kinds := 0
	if h.HTTP != nil {
		kinds++
		c.checkHTTP(path+".http", h.HTTP)
	}
	if h.Exec != nil {
		kinds++
		c.that(len(h.Exec.Command) > 0 && h.Exec.Command[0] != "", path+".exec", "%s.exec.command is required, like [\"./resize\", \"--fast\"]", path)
		notNegative(c, path+".exec.timeout", *h.Exec.Timeout)
	}
	if h.Discard != nil {
		kinds++
		notNegative(c, path+".discard.delay", h.Discard.Delay)
	}
	c.that(kinds > 0, path, "%s has none of http, exec and discard, must have one", path)
	c.that(kinds < 2, path, "%s has %d of http, exec and discard, must have one", path, kinds)
}

func (c *checker) checkHTTP(path string, h *HTTP) {
	wrong := checkURL(string(h.URL))
	c.that(wrong == "", path+".url", "%s.url is %q, %s", path, h.URL, wrong)
	notNegative(c, path+".timeout", *h.Timeout)
	for i, status := range h.DeadLetterOn {
		overload := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
		at := fmt.Sprintf("%s.dead_letter_on[%d]", path, i)
		c.that(status >= 300 && status <= 599, at, "%s is %d, must be a status between 300 and 599", at, status)
		c.that(!overload, at, "%s is %d, which means overload: the message waits for the downstream", at, status)
	}
	for name, header := range h.Headers {
		c.checkHeader(path+".headers."+name, name, header)
	}
}

// checkURL returns what is wrong with where messages are posted to, "" if nothing is.
func checkURL(text string) string {
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" {
		return "must be like http://127.0.0.1:9000/path"
	}
	if port, err := strconv.ParseUint(u.Port(), 10, 16); u.Port() != "" && (err != nil || port == 0) {
		return "must have a port between 1 and 65535"
	}
	if u.Fragment != "" {
		return "must have no fragment: what stands behind # is not sent; write %23 for a # in the path"
	}
	return ""
}

func (c *checker) checkHeader(path, name string, h Header) {
	c.that((h.Value == "") != (h.File == ""), path, "%s must have a value or a file", path)
	c.that(handlers.IsHeaderName(name), path, "%q is no name of a header", name)
	c.that(!strings.ContainsAny(string(h.Value), "\r\n\x00"), path, "%s must not hold line breaks", path)
	switch http.CanonicalHeaderKey(name) {
	case "Content-Length", "Transfer-Encoding", "Connection":
		c.report(path, "%s cannot be set: it belongs to the connection", path)
	}
}
