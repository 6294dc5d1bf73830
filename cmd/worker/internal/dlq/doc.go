// Package dlq reads the dead letters of a durable, hands them over again and removes
// them: the work behind "worker dlq".
//
//	letters, err := dlq.New(js, dlq.Config{Stream: "JOBS", Durable: "worker"})
//	...
//	entries := letters.List(ctx, dlq.Filter{Tenant: "acme"})
//	for r, err := range letters.Replay(ctx, entries, dlq.Replay{}) {
//		...
//	}
//
// Everything is an iterator, so that a stream of any size is never held in memory.
//
// # What a replay guarantees
//
// An entry is removed only after JetStream confirmed that it stored the copy. When
// there is no answer, the copy is published again under the same Nats-Msg-Id until
// there is one; without a definite answer the entry stays. So nothing is lost,
// wherever the program is killed.
//
// What can be doubled is an entry whose copy was confirmed and which could not be
// removed, because the program was killed in between or the removal failed. The
// Nats-Msg-Id is new for the stream it goes to, and the same each time one entry is
// replayed: a second replay within the duplicate window of that stream, also by
// somebody else at the same time, is answered with "duplicate", and the entry is
// kept and reported. After that window a second replay makes a second copy.
package dlq
