// Package spillway is the root of a framework for multi-tenant work on NATS JetStream.
// It holds no code; these packages do:
//
//   - consumer: JetStream in, handlers out, exactly one settlement per delivery;
//     beside it consumer/metrics, consumer/ops and consumer/consumertest
//   - tenants: bounded queues per tenant, and which tenant is next; of use without a
//     broker, and it imports the standard library only
//   - cmd/worker: all of it as one command with a config file
package spillway
