// Package consumertest starts a NATS server with JetStream inside a test, in one
// call, as net/http/httptest starts an HTTP server.
//
//	func TestJobs(t *testing.T) {
//		s := consumertest.NewServer(t)
//		s.Stream(t, "JOBS", "jobs.>")
//		js := s.JetStream(t)
//		// publish, consume, check; everything is closed when the test ends
//	}
//
// The server is the real nats-server, in this process. It keeps its streams in a
// directory that goes away with the test and opens no port: clients reach it by
// memory, through [Server.Conn], [Server.JetStream] or nats.InProcessServer(s). Give
// it [WithListen] if another process must connect.
//
// # Virtual time
//
// The server also runs inside a [testing/synctest] bubble, where a minute of AckWait
// costs no real time. Make the server and all its clients inside the bubble, from the
// bubble's own t:
//
//	func TestRedelivery(t *testing.T) {
//		synctest.Test(t, func(t *testing.T) {
//			s := consumertest.NewServer(t)
//			...
//			time.Sleep(30 * time.Second) // AckWait passes at once
//		})
//	}
//
// No TestMain is needed: importing this package starts, outside of any bubble, the one
// process-wide goroutine of nats-server that would otherwise stop a bubble's clock.
// A test of goroutine leaks ignores it by the name [Background].
//
// What to know before using a bubble:
//
//   - A bubble has NATS to itself. While it has a server, no other test of the process
//     may have one, so such a test must not call t.Parallel, nor may a test around it
//     hold a server; NewServer fails the test that breaks this. The reason is that
//     nats.go keeps timers in a pool of the process, and a timer of one bubble that is
//     used in another is a fatal error of the Go runtime. NewServer and its cleanup
//     empty that pool.
//   - Time moves only while every goroutine of the bubble waits for another goroutine
//     or for time. One that waits for a socket, a process or a lock stops the clock:
//     WithListen is refused, and a fake of a downstream must be in memory too.
//   - The clock starts at midnight UTC 2000-01-01.
//   - Two goroutines must not call Next of one message iterator: the second waits for
//     a lock, which stops the clock.
//
// It leans on how the server works inside: keep some tests in real time beside those
// in a bubble.
package consumertest
