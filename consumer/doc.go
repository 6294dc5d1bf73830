// Package consumer runs the work of many tenants from a NATS JetStream stream: it
// pulls messages into bounded queues, one for each tenant and downstream, from which
// a shared pool of workers takes them in fair turns by worker-time.
//
//	c, err := consumer.New(js, consumer.Config{
//		Stream:  "JOBS",
//		Durable: "worker",
//		Tenant:  consumer.SubjectToken(2), // jobs.<tenant>.<kind>
//	}, consumer.HandlerFunc(func(ctx context.Context, m *consumer.Message) error {
//		return resize(ctx, m.Data)
//	}))
//	if err != nil { ... }
//	err = c.Run(ctx) // returns when ctx is done and the drain has ended
//
// # The way of a message
//
//	pull → admit → enqueue → schedule → work → handle → settle
//
// A lane pulls as much as its share of the buffer has room for. A message is admitted
// if it has a tenant and a route, queued unless its queue is at the high watermark,
// scheduled when its tenant is due and its downstream open, run by a worker under a
// lease that is kept alive from arrival to settlement, and settled exactly once.
//
// Lanes feed the queues: main is the durable on the stream; overflow, retry and suspect
// are consumers of copies in the overflow stream. A copy is made by the move: publish
// it, wait for its confirmation, then acknowledge the original.
//
//	              ┌──────────── retry lane (due copies) ◄────────────┐
//	              ▼                                                  │ failed
//	main lane ─► queues ─► workers ─► ack                            │
//	   │   │      ▲  ▲         └──────────────────────────────────► move ─► dead letters
//	   │   │      │  └ overflow lanes (one a queue, as it has room) ◄┤
//	   │   └──────┼──────── the queue is at its high watermark ─────►│
//	   │          └── suspect lane (one at a time in all processes) ◄┤
//	   └──────────────── delivered more than three times ────────────┘
//
// # The spillway
//
// A queue that reaches its high watermark sheds, and by default that is a move: what is
// new goes to the queue's own subject of the overflow stream, and the main lane goes on
// to the messages of others. An overflow lane asks for exactly what the queue has room
// for, so the flood of one tenant waits in the server and holds no place of the main lane.
//
//	calm      ──the queue sheds───────────────▶ spilling   what is new is moved
//	spilling  ──what is left fits in──────────▶ returning  what is new waits behind it here
//	returning ──the overflow is empty─────────▶ calm
//	returning ──too many wait behind it───────▶ spilling
//
// In each process a tenant's messages for one downstream so stay first in, first out, as far
// as no copy has to be published twice. The processes of a durable share the overflow: what
// one has moved others work on, and what a dead one held they take over after AckWait.
// Where the overflow stream is full, or a message too large to be copied, it is delayed.
//
// A process runs at most 100 overflow lanes; with more queues in overflow each has one for
// a while. On a stream with Limits retention a flood is stored twice until it is done, and the
// stream's max age does not apply to the copies.
//
// # What ends a handler, and what it means
//
//	                               the message                   attempt    limiter   breaker
//	nil                            acked                         –          success   success
//	an error, a panic              retried with backoff          spent      ignored   failure
//	an error after its Timeout     retried with backoff          spent      drop      failure
//	RetryAfter(err, d)             retried after d               spent      ignored   ignored
//	Overloaded(err, d)             at the head of its queue      not spent  drop      ignored
//	                               for d
//	DeadLetter(err)                dead-lettered                 ends       success   success
//	an error after the lease was   handed back                   not spent  ignored   ignored
//	lost or the drain ran out
//
// After Retry.MaxAttempts failed runs a message is dead-lettered.
//
// # While it runs
//
// Reload replaces what of the config may change while messages flow: tenants, downstreams,
// retry and workers. SetTenant changes one tenant, over what the config says, in all
// processes of the durable: it is paused, or has another weight, cap or rate, for a time or
// for good. That is kept in a key-value bucket, <stream>_STATE, which every process reads
// before it pulls and follows from then on. What has its time ends by the clock of each
// process, whether NATS is there or not.
//
//	config ──Reload──▶ live ─┐
//	                         ├─▶ policy of a tenant ─▶ its queues
//	SetTenant ──▶ bucket ──▶ overrides ─┘
//
// Nothing of a paused tenant starts. Its queues fill up to their high watermark, and then
// overflow as they do in any backlog; where the policy is hold, they spill, so that others go on.
//
// # Downstreams
//
// What a handler calls is a downstream. It has a concurrency limit, a breaker and, if it is
// given one, a rate. A message waits in its tenant's queue until a worker and its downstream
// are both free, and those for other downstreams pass it by:
//
//	queues of tenants ─┬─ for billing ─▶ gate: limit, breaker, rest, rate ─┬─▶ workers
//	                   └─ for mail ────▶ gate ─────────────────────────────┘
//
// A closed gate costs no attempt and hands nothing back: leases are kept. When the breaker
// has been open long enough a message is tried; it spends an attempt if it fails, and the
// next to be tried is another. A downstream whose runs end in nothing but Overloaded rests,
// longer each time. While no downstream takes anything the pull stops, but for what a
// breaker wants to try. The routes that name no downstream share one called "default", which
// has neither limit nor breaker unless Config.Downstreams has it: nobody knows what is behind
// it, and the failures of one tenant would keep all the others from it.
//
// # Shared rates
//
// A rate holds for each process, unless it has SharedRate: then Config.SharedRate makes what
// counts its tokens for all, as package redisbucket does in Redis. Each has a key of its own,
// "downstream:" or "tenant:" and the name. Nobody waits for a token in a worker's place. A
// downstream's gate opens when there may be one. A message of a tenant is started, asks, and
// if there is none goes back to the head of its queue, uncharged and without an attempt: its
// tenant is then passed by until the time that RateLimiter.Next names, and says that it waits
// for its rate. A token that is not used is given back. Of tenants that have had nothing to
// start for a minute or two the RateLimiter is let go, so that names cost nothing for long.
//
// # Guarantees
//
// At least once: a message is acknowledged only after its handler returned nil or its
// copy was confirmed. Bounded: this process holds and has asked for at most
// Buffer.Messages and Buffer.Bytes, and one message more of any size in each lane.
// Not guaranteed: exactly once, and order across retries and processes. Within a
// process a tenant's messages for one downstream start in stream order, retries and
// what was delayed apart; MaxInFlight 1 runs them one at a time.
//
// # States of a Consumer
//
//	new ─ Run ─► starting ─► running ─ ctx done ─► draining ─► stopped
//
// The drain stops the pulls, finishes what is held for at most DrainTimeout, waits for
// the copies to be confirmed, hands the rest back and flushes. A second Run is an
// error: make another Consumer.
//
// # Files
//
// config, defaults, validate, message, handler, mux, reach, vocabulary, consumer, tenantpatch: the
// surface. live, reload, turn, staff, guards: what of it changes. settenant, overseer, bucketwatch,
// overrides: what is set of tenants. lane, slot, pull, request, status, budget, mix: asking the server. delivery, admit,
// enqueue, pacer, makeroom, moveout: taking in. work, context, handle: running. downstream,
// guard, gate, permits, rest, tenantrate, standstill: when, and whether at all. settle, outbox, poster, lease,
// held, copies: ending. copy, move, retry, deadletter: ending as a copy elsewhere. spill, front: what
// overflows; overflow: how it comes back. topology,
// keeper: streams and consumers. run, drain, tally, alarms: life and end. snapshot,
// downstreamstate, waiting, stuck, noise, observer, counters, logs: what it tells.
package consumer
