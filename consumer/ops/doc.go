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
// # Liveness
//
// /livez fails when the consumer has stopped although its process has not ended, and
// when for 30 seconds each worker has been held by a handler whose context ended and
// that does not return. It does not fail for a NATS server that is away or a
// downstream that is slow: a restart would lose what is held and change nothing.
package ops
