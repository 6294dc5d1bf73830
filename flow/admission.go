package flow

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// HeaderInflight is on every response that passes an Admission: how many requests it had
// admitted and not finished when the request was admitted, itself included, or refused.
const HeaderInflight = "X-Inflight"

// Admission is HTTP middleware that lets so many requests be handled at once and refuses
// the others with 503 and Retry-After, at once and before they cost anything. One Admission
// may wrap several handlers: they share the limit. It is safe for concurrent use.
//
// A request counts from its admission to the return of its handler, which for a WebSocket
// or a stream is the whole connection. A handler that panics gives its place back, and the
// panic goes on to net/http, http.ErrAbortHandler included.
type Admission struct {
	c          AdmissionConfig
	retryAfter string // seconds
	inflight   atomic.Int64
	admitted   atomic.Uint64
	rejected   atomic.Uint64
	exempt     atomic.Uint64
}

// AdmissionConfig says whom an Admission lets in. Either Limit or Limiter is needed.
type AdmissionConfig struct {
	Limit   int     // requests handled at once; 1 to 1,048,576
	Limiter Limiter // decides instead of Limit; it must not block

	// RetryAfter is when a client that was refused should come back, rounded up to
	// seconds; at most a day, default 1 s.
	RetryAfter time.Duration

	// Exempt are paths that are always handled and do not count, compared with the whole
	// path of the URL: a load that makes requests fail must not make the process look
	// dead. Each begins with a slash. nil is /livez, /readyz and /healthz; empty is none.
	Exempt []string

	// OnReject, if not nil, answers the requests that are refused, for a body of one's own.
	// The headers are set when it is called; it writes the status.
	OnReject http.Handler
}

// Limiter decides, for an Admission, whether one more may run. Release is called once for
// each that may.
//
// The concurrency limiters of package limiter become one in a line or two:
//
//	flow.LimiterFunc(func() (func(flow.Outcome), bool) {
//		permit, ok := l.TryAcquire() // l is a *limiter.Limiter
//		return func(o flow.Outcome) { permit.Release(limiter.Outcome(o)) }, ok
//	})
type Limiter interface {
	TryAcquire() (release func(Outcome), ok bool)
}

// LimiterFunc is a function as Limiter.
type LimiterFunc func() (release func(Outcome), ok bool)

// TryAcquire calls f.
func (f LimiterFunc) TryAcquire() (release func(Outcome), ok bool) { return f() }

// Outcome is what a Limiter learns from a request. The values are those of package limiter.
type Outcome uint8

// The outcomes.
const (
	Ignore  Outcome = iota // nothing: a panic, another 5xx, a client that went away, a stream, a WebSocket
	Success                // it was served, and its time counts
	Drop                   // overload: the handler answered 429, 503 or 504
)

const (
	defaultRetryAfter = time.Second
	maxRetryAfter     = 24 * time.Hour
)

var healthPaths = []string{"/livez", "/readyz", "/healthz"}

func (c AdmissionConfig) withDefaults() (AdmissionConfig, error) {
	var err error
	switch {
	case c.Limiter == nil:
		err = within("AdmissionConfig.Limit", c.Limit, 1, maxAtOnce)
	case c.Limit != 0:
		err = fmt.Errorf("AdmissionConfig.Limit is %d: must be 0 with a Limiter", c.Limit)
	}
	err = errors.Join(err, within("AdmissionConfig.RetryAfter", c.RetryAfter, 0, maxRetryAfter))
	for i, p := range c.Exempt {
		if !strings.HasPrefix(p, "/") {
			err = errors.Join(err, fmt.Errorf("AdmissionConfig.Exempt[%d] is %q: must begin with /", i, p))
		}
	}
	c.RetryAfter = orDefault(c.RetryAfter, defaultRetryAfter)
	if c.Exempt == nil {
		c.Exempt = healthPaths
	}
	c.Exempt = slices.Clone(c.Exempt)
	return c, err
}

// NewAdmission returns an Admission, or all that is wrong with c.
func NewAdmission(c AdmissionConfig) (*Admission, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("flow: NewAdmission: %w", err)
	}
	s := math.Ceil(c.RetryAfter.Seconds())
	return &Admission{c: c, retryAfter: strconv.Itoa(int(s))}, nil
}

// Wrap returns next behind the Admission; nil is http.DefaultServeMux.
func (a *Admission) Wrap(next http.Handler) http.Handler {
	if next == nil {
		next = http.DefaultServeMux
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case slices.Contains(a.c.Exempt, r.URL.Path):
			a.exempt.Add(1)
			a.tell(w, a.inflight.Load())
			next.ServeHTTP(w, r)
		case a.c.Limiter != nil:
			a.limited(w, r, next)
		default:
			a.counted(w, r, next)
		}
	})
}

// counted goes by Limit. The handler gets w itself: there is nothing to learn from it.
func (a *Admission) counted(w http.ResponseWriter, r *http.Request, next http.Handler) {
	n, ok := a.enter()
	if !ok {
		a.reject(w, r, n)
		return
	}
	defer a.inflight.Add(-1)
	a.admitted.Add(1)
	a.tell(w, n)
	next.ServeHTTP(w, r)
}

// enter never lets more in than Limit, not even for a moment.
func (a *Admission) enter() (n int64, ok bool) {
	for {
		n = a.inflight.Load()
		if n >= int64(a.c.Limit) {
			return n, false
		}
		if a.inflight.CompareAndSwap(n, n+1) {
			return n + 1, true
		}
	}
}

// limited goes by the Limiter, which is told the outcome, also of a panic.
func (a *Admission) limited(w http.ResponseWriter, r *http.Request, next http.Handler) {
	release, ok := a.c.Limiter.TryAcquire()
	if !ok {
		a.reject(w, r, a.inflight.Load())
		return
	}
	n := a.inflight.Add(1)
	a.admitted.Add(1)
	a.tell(w, n)
	resp := &response{ResponseWriter: w}
	outcome := Ignore
	defer func() {
		a.inflight.Add(-1)
		release(outcome)
	}()
	next.ServeHTTP(resp.wrapped(), r)
	outcome = resp.outcome(r.Context().Err() != nil)
}

func (a *Admission) reject(w http.ResponseWriter, r *http.Request, inflight int64) {
	a.rejected.Add(1)
	a.tell(w, inflight)
	w.Header().Set("Retry-After", a.retryAfter)
	if a.c.OnReject != nil {
		a.c.OnReject.ServeHTTP(w, r)
		return
	}
	http.Error(w, "503 overloaded, try again later", http.StatusServiceUnavailable)
}

func (a *Admission) tell(w http.ResponseWriter, inflight int64) {
	w.Header().Set(HeaderInflight, strconv.FormatInt(inflight, 10))
}

// AdmissionStats is the state of an Admission at about one moment. Its counters never fall.
type AdmissionStats struct {
	Admitted uint64 // requests that were handled, exempt ones apart
	Rejected uint64 // requests that were refused
	Exempt   uint64 // requests of the paths that do not count
	Inflight int    // requests being handled, exempt ones apart
}

// Stats returns what has happened until now.
func (a *Admission) Stats() AdmissionStats {
	return AdmissionStats{
		Admitted: a.admitted.Load(), Rejected: a.rejected.Load(), Exempt: a.exempt.Load(),
		Inflight: int(a.inflight.Load()),
	}
}
