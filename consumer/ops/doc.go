// Package ops is the http.Handler of a worker's operations endpoints.
//
//	h, err := ops.New(ops.Config{Consumer: c, Metrics: metrics, Listen: "127.0.0.1:8080"})
//	...
//	server := &http.Server{Addr: "127.0.0.1:8080", Handler: h, ReadHeaderTimeout: 5 * time.Second}
//	err = server.ListenAndServe()
//
// It serves, to GET and HEAD:
//
//	/              links to the others
//	/metrics       what Config.Metrics answers
//	/livez         200, or 503 when a restart would help
//	/readyz        200, or 503 and why not
//	/api/v1/state  the consumer's Snapshot as JSON
//	/api/v1/tenants           its tenants, as JSON
//	/api/v1/tenants/{tenant}  one of them, known or not
//
// # Changing tenants
//
//	PATCH /api/v1/tenants/{tenant}   {"paused": true, "weight": 2, "max_in_flight": 4, "rate": "100/s", "ttl": "10m"}
//	DELETE /api/v1/tenants/{tenant}
//
// PATCH changes what its body names, in all processes of the durable, and for good unless
// there is a ttl; DELETE makes the config count again, and does no harm if nothing was set.
// Both answer with the tenant as it is treated then. A name goes into the path with each
// byte escaped that is not plain there, dots of "." and ".." too.
//
//	400  the name, the syntax, a key or a value is wrong: the answer tells all that is
//	401  the token is missing or wrong
//	403  no token is configured, or a page of another site has asked
//	409  as the answer says: there is no bucket and it may not be created, too many tenants have
//	     something set, or others kept changing the same tenant
//	413  the body is larger than 16 KiB
//	503  NATS is away, or did not answer; Retry-After says when to try again
//
// # Who may see what
//
// /metrics, /livez and /readyz are open to all, as Prometheus and Kubernetes expect, and
// so is /, which tells nothing.
// The state names tenants and shows errors. Where the handler is served on a
// loopback address it is open to the users of the machine; a request must name a
// loopback host, so that a web page somebody has open cannot read it through a name
// of its own that leads to 127.0.0.1. On any other address, and where a Token is set
// and the host is another, the Token is needed: as "Authorization: Bearer", or as the
// password of Basic, which is what browsers ask for. Without a Token the state is
// refused there.
//
// Changes need the Token wherever they come from, as "Authorization: Bearer" alone.
//
// # Liveness
//
// /livez fails when the consumer has stopped although its process has not ended, and
// when for 30 seconds each worker has been held by a handler whose context ended and
// that does not return. It does not fail for a NATS server that is away or a
// downstream that is slow: a restart would lose what is held and change nothing.
package ops
