// Package lag tells what a durable still has to do, by lane and by tenant: the work
// behind "worker lag".
//
//	report, err := lag.Read(ctx, js, lag.Config{
//		Stream:  "JOBS",
//		Durable: "worker",
//		Tenant:  consumer.SubjectToken(2),
//	})
//
// It changes nothing. JetStream knows the numbers of a lane; nobody knows those of a
// tenant, so they are counted, within bounds:
//
//   - On a stream with Limits retention the headers of the messages are read that the
//     durable has not been given yet. A tenant read from a header is told too.
//   - On one with WorkQueue retention no second consumer may read. If the subject
//     tells the tenant, the server's counts by subject are added up; they include
//     what was given to the durable and is not acknowledged.
//   - On one with Interest retention a second consumer would make the stream keep
//     messages, and the counts by subject include what only others still want. There
//     the tenants cannot be told.
//
// The retry and suspect lanes are not told by tenant: their messages have one subject,
// in a stream with WorkQueue retention.
package lag
