package ops

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strings"
)

// guard decides who may see more than health and metrics.
type guard struct {
	hasToken bool
	token    [sha256.Size]byte // hashed, so that comparing takes as long for any length
	loopback bool
}

func newGuard(token string, loopback bool) guard {
	return guard{hasToken: token != "", token: sha256.Sum256([]byte(token)), loopback: loopback}
}

// protect lets requests through to next that may see the state.
func (g guard) protect(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case g.loopback && isLoopbackHost(hostOf(r)):
			next.ServeHTTP(w, r)
		case !g.hasToken && g.loopback:
			http.Error(w, "the request names another host than localhost, and no token is configured", http.StatusForbidden)
		case !g.hasToken:
			http.Error(w, "no token is configured, and this is not served on a loopback address alone", http.StatusForbidden)
		case !g.authorized(r):
			w.Header().Add("WWW-Authenticate", `Bearer realm="spillway"`)
			w.Header().Add("WWW-Authenticate", `Basic realm="spillway", charset="UTF-8"`)
			http.Error(w, "the token is needed: as a bearer token, or as the password", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// authorized reports whether r has the token.
func (g guard) authorized(r *http.Request) bool {
	_, given, ok := r.BasicAuth()
	if !ok {
		scheme, rest, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return false
		}
		given = strings.TrimLeft(rest, " ")
	}
	sum := sha256.Sum256([]byte(given))
	return g.hasToken && subtle.ConstantTimeCompare(sum[:], g.token[:]) == 1
}

// hostOf returns the host that r names, without its port.
func hostOf(r *http.Request) string {
	if host, _, err := net.SplitHostPort(r.Host); err == nil {
		return host
	}
	return r.Host
}
