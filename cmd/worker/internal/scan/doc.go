// Package scan reads the messages of a stream one after another, and single ones,
// without changing anything in it.
//
//	for m, err := range scan.Headers(ctx, js, "JOBS_DEAD", scan.Filter{Subjects: subjects}) {
//		...
//	}
//
// It speaks the API of JetStream itself rather than through nats.go because of what
// strangers may write into a message: nats.go takes one without a payload that has a
// header called Status for an answer of the server, and a scan for headers only gets
// every message without its payload.
//
// [Stream] and [Durable] look one up, and say which there are if there is none of that
// name.
package scan
