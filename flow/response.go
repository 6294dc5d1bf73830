package flow

import (
	"bufio"
	"io"
	"net"
	"net/http"
)

// response sees what a handler answers. It can do what the ResponseWriter below can, for
// those who ask http.ResponseController, by Unwrap, and flush and hijack for those who
// assert interfaces, by what wrapped returns.
type response struct {
	http.ResponseWriter
	status   int  // 0: nothing was written
	streamed bool // flushed before its end, or hijacked: its time is not one of service
}

// wrapped returns r as Flusher and Hijacker if something below is: code older than
// http.ResponseController asserts them, and r sees a Hijack only in this way.
func (r *response) wrapped() http.ResponseWriter {
	hijacks := has[http.Hijacker](r.ResponseWriter)
	flushes := has[http.Flusher](r.ResponseWriter)
	switch {
	case hijacks && flushes:
		return &struct {
			*response
			flusher
			hijacker
		}{r, flusher{r}, hijacker{r}}
	case hijacks:
		return &struct {
			*response
			hijacker
		}{r, hijacker{r}}
	case flushes:
		return &struct {
			*response
			flusher
		}{r, flusher{r}}
	}
	return r
}

// has reports whether w is a T, or wraps one that http.ResponseController would find.
func has[T any](w http.ResponseWriter) bool {
	for {
		if _, ok := w.(T); ok {
			return true
		}
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return false
		}
		w = u.Unwrap()
	}
}

// Unwrap is for http.ResponseController, which looks at r first.
func (r *response) Unwrap() http.ResponseWriter { return r.ResponseWriter }

// WriteHeader may come several times: those of 1xx are informational, the first other
// one counts, except 101, which is the last.
func (r *response) WriteHeader(status int) {
	if r.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *response) Write(p []byte) (int, error) {
	r.implicit()
	return r.ResponseWriter.Write(p)
}

// ReadFrom keeps sendfile possible.
func (r *response) ReadFrom(src io.Reader) (int64, error) {
	r.implicit()
	return io.Copy(r.ResponseWriter, src)
}

func (r *response) implicit() {
	if r.status == 0 {
		r.status = http.StatusOK
	}
}

// outcome is for a handler that has returned.
func (r *response) outcome(clientGone bool) Outcome {
	switch {
	case clientGone, r.streamed, r.status == http.StatusSwitchingProtocols:
		return Ignore
	case r.status == http.StatusTooManyRequests, r.status == http.StatusServiceUnavailable,
		r.status == http.StatusGatewayTimeout:
		return Drop
	case r.status >= http.StatusInternalServerError:
		return Ignore
	}
	return Success
}

// FlushError is what http.ResponseController looks for first. Nobody takes it for a promise
// that flushing works, as Flush would be.
func (r *response) FlushError() error {
	r.implicit()
	r.streamed = true
	return http.NewResponseController(r.ResponseWriter).Flush()
}

type flusher struct{ r *response }

func (f flusher) Flush() { _ = f.r.FlushError() } // Flush has nobody to tell

type hijacker struct{ r *response }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.r.streamed = true
	return http.NewResponseController(h.r.ResponseWriter).Hijack()
}
