// Package story is Spillway from end to end, in one process: tenants post jobs to a
// gateway, JetStream keeps them, a worker does them by calling a service, and three
// scenes show what happens when there are too many jobs and when the service is slow.
//
//	            POST /jobs/acme/invoice
//	load ──────▶ gateway ──────▶ JOBS ──────▶ worker ──────▶ billing
//	            admission       JetStream    fair queues     12 at once, 40 ms each:
//	            503 when full    │     ▲     limit, breaker  300 jobs/s
//	                             └▶ JOBS_OVERFLOW            slowed by the third scene
//
// Each arrow pushes back on the one before it. Billing is never given more than it does
// well, the worker pulls no more than it can queue, what one tenant has too much goes to
// that tenant's overflow in JetStream, and who sends more than the gateway can check is
// told to come again. Nothing that the gateway accepted is lost: every job has an id, and
// at the end each is accounted for.
//
// Read it in the order of the way of a job:
//
//	cast.go      who is there: tenants, rates, capacities, scenes
//	traffic.go   the tenants: an open-loop load against the gateway
//	gateway.go   HTTP in, JetStream out: admission control for each tenant
//	worker.go    the consumer: its config, and the handler that calls billing
//	page.go      what an operator sees: the page, health, metrics
//	book.go      what became of every job, by its id
//	account.go   the same at the end, with what is left in JetStream
//	watch.go     the metrics over time: where each began, its extremes, where it ended
//	pattern.go   what each metric was expected to do in each scene, and did
//	moment.go    what is shown each second
//	run.go       the order in which all this starts and ends
//
// The command "worker demo" shows it on a terminal, examples/endtoend as lines of text.
package story
