// Package envelope is the written form of what Spillway keeps in NATS: the
// subjects, stream and consumer names, and the headers of copies and dead
// letters. It decides nothing and talks to nobody; consumer writes these records
// and cmd/worker reads them.
//
// A copy is a message that was moved durably to another subject. It carries
//
//	Spillway-Origin-Subject  the subject of the message that was published
//	Spillway-Stream          the stream that message was first read from
//	Spillway-Sequence        its sequence there
//	Spillway-Time            when it was published, RFC 3339 with nanoseconds, UTC
//	Spillway-Attempt         the number of the next run, from 1
//	Spillway-Not-Before      when that run is due; absent: now
//	Spillway-Carried-*       each Nats-* header of the origin
//
// and the origin's other headers and payload as they are. The Nats-* headers are
// escaped because a server acts on them: a copy that carried Nats-Expected-Stream,
// Nats-TTL or Nats-Rollup as it is would be refused or would erase its neighbours.
//
// A dead letter carries the same, with Spillway-Reason, -Error, -Stack and
// -Attempts in place of Attempt and Not-Before.
//
// The records stay readable one minor version back and forward: readers ignore
// Spillway-* headers they do not know, and a header is never given a new meaning.
package envelope
