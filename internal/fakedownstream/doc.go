// Package fakedownstream is a downstream that can be overloaded, slowed and broken at will:
// what handlers call in the demo, in examples and in benchmarks.
//
//	d, err := fakedownstream.New(fakedownstream.Config{Workers: 12, Service: 50 * time.Millisecond})
//	...
//	server, err := fakedownstream.Start("127.0.0.1:0", d)
//	defer server.Close()
//	post(server.URL())
//	err = d.SetFault(fakedownstream.Fault{Kind: fakedownstream.Slow, Factor: 10})
//
// # The model
//
// It is that of internal/overloadsim, by the clock:
//
//	call ──▶ queue, first in first out, bounded ──▶ workers ──▶ 200
//	  │           └── full: 429 with Retry-After
//	  └── a fault: 500, 429, no answer, or a connection that closes
//
// A service time is drawn when a worker begins:
//
//	service = Erlang(Shape, Service) × Factor of Slow × (1 + Thrash × max(0, inside − Workers) / Workers)
//
// where inside is how many calls it holds, this one included. A caller that goes away does
// not stop the work for it, as in most servers: it is done for nobody, and counted as
// Abandoned. An answer within Deadline of its arrival, to a caller who is there still, is
// good; goodput is good answers a second.
//
// A worker takes its next call at the moment at which its last one was due to end, not
// when the timer fired, so that the capacity, Workers / Service, does not depend on how
// late timers are.
//
// # Faults
//
// A fault holds for calls that arrive while it lasts, Slow for those that a worker begins
// with. What is inside when another fault begins is finished.
//
//	none      as configured
//	slow      service times × Factor
//	error     500 at once
//	dead      the connection closes without an answer
//	overload  429 with Retry-After at once
//	hang      no answer until the caller goes away, or the fault ends: then as dead
//
// Over HTTP, POST /fault?kind=slow&factor=10&for=30s sets one, GET /fault shows it, and
// GET /stats counts. Every other request is a call.
package fakedownstream
