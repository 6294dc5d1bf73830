package ops

import (
	"net/http"
	"strings"
)

// protectChanges lets requests through to next that may change something: who knows the
// token, and sends it as a bearer token. A password of Basic is not enough, as browsers
// send one by themselves, whoever makes them ask.
func (g guard) protectChanges(next http.Handler) http.Handler {
	foreign := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !g.hasToken:
			http.Error(w, "no token is configured, and without one nothing can be changed", http.StatusForbidden)
		case foreign.Check(r) != nil:
			http.Error(w, "the request comes from another site", http.StatusForbidden)
		case !g.hasBearer(r):
			w.Header().Set("WWW-Authenticate", `Bearer realm="spillway"`)
			http.Error(w, "changes need the token as a bearer token: Authorization: Bearer …", http.StatusUnauthorized)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// hasBearer reports whether r has the token, and not as a password.
func (g guard) hasBearer(r *http.Request) bool {
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	return strings.EqualFold(scheme, "Bearer") && g.authorized(r)
}
