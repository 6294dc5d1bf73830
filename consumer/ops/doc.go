// Package ops is the http.Handler of a worker's live page and operations endpoints.
//
//	h, err := ops.New(ops.Config{Consumer: c, Metrics: metrics, Listen: "127.0.0.1:8080"}) // before c.Run
//	...
//	server := &http.Server{Addr: "127.0.0.1:8080", Handler: h, ReadHeaderTimeout: 5 * time.Second}
//	err = server.ListenAndServe()
//
// Under a prefix it is mounted as http.Handle("/ops/", http.StripPrefix("/ops", h)). A
// server that is shut down ends the streams of events with the context of its connections:
// give it a BaseContext that you cancel, or it waits for them.
//
// It serves, to GET and HEAD:
//
//	/                        the live page
//	/assets/                 what the page loads
//	/metrics                 what Config.Metrics answers
//	/livez                   200, or 503 when a restart would help
//	/readyz                  200, or 503 and why not
//	/api/v1/state            the consumer's Snapshot as JSON
//	/api/v1/events           what the page shows, as server-sent events
//	/api/v1/tenants          its tenants, as JSON
//	/api/v1/tenants/{tenant} one of them, known or not
//
// # The page
//
// It shows the way of a message with rates and lag, the downstreams with their limits and
// breakers, the last 15 minutes, and the tenants, who does most harm first. It has no step that
// builds it, asks no other host, and runs under a Content-Security-Policy that allows nothing
// but its own files; text is never made markup. Who has the Token can change tenants
// on it.
//
// Which tenants are shown is chosen here, so that ten thousand are no more to a browser than
// fifty. /api/v1/state and /api/v1/events take
//
//	q     what must be in a tenant's name, in whatever case; at most 256 bytes
//	sort  harm (default), queued, wait, in_flight, overflow or name
//	top   how many tenants: 1 to 500, default 50
//
// and answer 400 to what is none of that. Without a query /api/v1/state is whole.
//
// # Events
//
// The stream begins with an event "history": charts of up to 15 minutes, a point a second. Then
// comes an event "state" each second: the state without its tenants, sums over them, rates,
// the tenants of the view, and the newest point. The id of an event says up to when a page has
// points: one that comes back, with Last-Event-ID or the parameter last_event_id, gets what it
// missed, and all if another process answers. Comments keep a connection alive that is silent.
//
// At most 32 streams are open at once; more are answered 503. Nothing is kept for a page that
// reads slowly: it gets the latest state when it has taken the one before, and is dropped if it
// takes none for 5 seconds.
//
// # What it costs
//
// One look at the worker a second, however many pages are open, and for each run of a handler
// two additions for the times of waiting: by tenant, for at most 10,000 at once, in
// histograms of 48 buckets over half to a whole minute. What is shown of them is read off a
// straight line through a bucket, none of which, above 32 µs, is wider than half its distance
// from 0.
//
// # Changing tenants
//
//	PATCH /api/v1/tenants/{tenant}   {"paused": true, "weight": 2, "max_in_flight": 4, "rate": "100/s", "ttl": "10m"}
//	DELETE /api/v1/tenants/{tenant}
//
// PATCH changes what its body names, in all processes of the durable, and for good unless
// there is a ttl; DELETE makes the config count again, and does no harm if nothing was set.
// Both answer with the tenant as it is treated then. A name goes into the path with each
// byte escaped that is not plain there, dots of "." and ".." too; browsers resolve these two
// all the same, so that the page leaves such tenants to the command.
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
// /metrics, /livez and /readyz are open to all, as Prometheus and Kubernetes expect.
// Page, state and events name tenants and show errors. Where the handler is served on a
// loopback address they are open to the users of the machine; a request must name a
// loopback host, so that a web page somebody has open cannot read them through a name
// of its own that leads to 127.0.0.1. On any other address, and where a Token is set
// and the host is another, the Token is needed: as "Authorization: Bearer", or as the
// password of Basic, which is what browsers ask for. Without a Token they are
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
