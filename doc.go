// Package spillway is the root of a framework for multi-tenant work on NATS JetStream.
// It holds no code; these packages do:
//
//   - consumer: JetStream in, handlers out, exactly one settlement per delivery
//   - tenants: bounded queues per tenant, and which tenant is next
//   - limiter: how many at once, and how many per second
//   - breaker: whether a downstream may be called at all
//   - flow: bounded plumbing inside a process, with or without a broker
//   - cmd/worker: all of it as one command with a config file
//
// The four in the middle import the standard library only, and each is of use alone.
package spillway
