// Package spillway is the root of a framework for multi-tenant work on NATS JetStream.
// It holds no code; these packages do:
//
//   - consumer: JetStream in, handlers out, exactly one settlement per delivery;
//     beside it consumer/metrics, consumer/ops and consumer/consumertest
//   - limiter: how many calls at once, and how many in a second; limiter/redisbucket
//     holds the rate over a fleet
//   - breaker: whether a downstream may be called at all
//   - flow: pools, bulkheads, pipelines, hedges and HTTP admission, all bounded; its
//     metrics are in flow/metrics
//   - tenants: bounded queues per tenant, and which tenant is next
//   - cmd/worker: all of it as one command with a config file
//
// limiter, breaker, flow and tenants are of use without a broker, know nothing of each
// other, and import the standard library only.
package spillway
