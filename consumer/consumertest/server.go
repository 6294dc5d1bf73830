package consumertest

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// patience is how long setting something up may take before the test fails.
	patience = 30 * time.Second
	// roomy is the space that JetStream believes to have. The server refuses a stream
	// whose MaxBytes exceeds its limit, which is by default what the disk has left.
	roomy = 1 << 50
	// everyConnection is a page of Connz that holds them all.
	everyConnection = 1 << 20
)

var errStopped = errors.New("consumertest: the server is stopped")

// A Server is a nats-server with JetStream that runs in this process and ends with
// the test. Make one with [NewServer]. Its methods are safe for concurrent use, but
// Stop, Start and Restart must not overlap.
//
// A method that takes a testing.TB fails that test when it cannot do its work, and
// whatever it opens is closed when that test ends.
type Server struct {
	opts *server.Options // not changed after the first start
	log  *serverLog

	mu      sync.Mutex
	running *server.Server // nil while stopped
	clients []*nats.Conn   // made by Conn; some may be closed
}

// An Option changes the server that [NewServer] starts.
type Option func(*Server)

// WithListen lets the server listen on a free port of 127.0.0.1, so that other
// processes can connect to [Server.URL]. It cannot be used in a bubble.
func WithListen() Option {
	return WithConfig(func(o *server.Options) {
		o.DontListen, o.Host, o.Port = false, "127.0.0.1", server.RANDOM_PORT
	})
}

// WithConfig lets f change the server's options before the first start.
func WithConfig(f func(*server.Options)) Option {
	return func(s *Server) { f(s.opts) }
}

// WithLogs writes what the server logs into the log of the test.
func WithLogs() Option {
	return func(s *Server) { s.log.verbose = true }
}

// NewServer starts a server with an empty JetStream. It is stopped when the test ends.
func NewServer(tb testing.TB, opts ...Option) *Server {
	tb.Helper()
	s := &Server{log: &serverLog{tb: tb}, opts: &server.Options{
		DontListen:         true,
		JetStream:          true,
		JetStreamMaxMemory: roomy,
		JetStreamMaxStore:  roomy,
		NoSigs:             true,
		StoreDir:           tb.TempDir(),
	}}
	for _, opt := range opts {
		opt(s)
	}
	if err := enter(tb, !s.opts.DontListen); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.stop()
		s.log.close()
		leave()
	})
	s.Start(tb)
	return s
}

// Start starts the server after [Server.Stop], on the same store and port.
func (s *Server) Start(tb testing.TB) {
	tb.Helper()
	if s.current() != nil {
		tb.Fatal("consumertest: Start: the server runs already")
	}
	ns, err := server.NewServer(s.opts.Clone())
	if err != nil {
		tb.Fatalf("consumertest: the server's options are refused: %v", err)
	}
	ns.SetLoggerV2(s.log, false, false, false)
	ns.Start()
	if reason := s.log.fatal(); reason != "" || !ns.ReadyForConnections(patience) {
		ns.Shutdown()
		tb.Fatalf("consumertest: the server did not start: %s", cmp.Or(reason, "not ready in time"))
	}
	if addr, ok := ns.Addr().(*net.TCPAddr); ok {
		s.opts.Port = addr.Port
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = ns
}

// Stop stops the server, as a restart or an outage of NATS would: streams and consumers
// are kept, connections are closed and try to come back until [Server.Start]. Those of
// [Server.Conn] know it when Stop returns: what they publish then waits for the server.
func (s *Server) Stop(tb testing.TB) {
	tb.Helper()
	told := s.awaitLoss(tb)
	if !s.stop() {
		tb.Fatal("consumertest: Stop: the server is stopped already")
	}
	told()
}

func (s *Server) stop() bool {
	s.mu.Lock()
	ns := s.running
	s.running = nil
	s.mu.Unlock()
	if ns == nil {
		return false
	}
	ns.Shutdown()
	ns.WaitForShutdown()
	return true
}

// Restart stops the server and starts it again on the same store and port. Connections
// of [Server.Conn] come back by themselves, soon after Restart has returned.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	s.Stop(tb)
	s.Start(tb)
}

// CutConnections closes all client connections from the server's side, as a broken
// network would, and returns how many those were. Clients reconnect by themselves;
// those of [Server.Conn] know their loss when CutConnections returns.
func (s *Server) CutConnections(tb testing.TB) int {
	tb.Helper()
	ns := s.current()
	if ns == nil {
		tb.Fatal("consumertest: CutConnections: the server is stopped")
	}
	told, cut := s.awaitLoss(tb), 0 // first: who is connected now is among those that are cut
	open, err := ns.Connz(&server.ConnzOptions{Limit: everyConnection})
	if err != nil {
		tb.Fatalf("consumertest: CutConnections: %v", err)
	}
	for _, c := range open.Conns {
		if ns.DisconnectClientByID(c.Cid) == nil { // else it has gone by itself
			cut++
		}
	}
	told()
	return cut
}

// URL returns the address of a server that was made with [WithListen]; it stays the
// same across restarts.
func (s *Server) URL(tb testing.TB) string {
	tb.Helper()
	if s.opts.DontListen {
		tb.Fatal("consumertest: URL: the server does not listen; make it with WithListen()")
	}
	ns := s.current()
	if ns == nil {
		tb.Fatal("consumertest: URL: the server is stopped")
	}
	return ns.ClientURL()
}

// Conn connects to the server by memory. The connection reconnects within
// milliseconds and never gives up; options that are given come after and win over
// these.
func (s *Server) Conn(tb testing.TB, opts ...nats.Option) *nats.Conn {
	tb.Helper()
	nc, err := nats.Connect(nats.DefaultURL, append([]nats.Option{
		nats.InProcessServer(s),
		nats.Name(tb.Name()),
		nats.Timeout(patience),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(10 * time.Millisecond),
		nats.ReconnectJitter(0, 0),
	}, opts...)...)
	if err != nil {
		tb.Fatalf("consumertest: cannot connect: %v", err)
	}
	tb.Cleanup(nc.Close)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = append(s.clients, nc)
	return nc
}

// JetStream returns a JetStream client on a connection of its own, made by
// [Server.Conn].
func (s *Server) JetStream(tb testing.TB, opts ...nats.Option) jetstream.JetStream {
	tb.Helper()
	js, err := jetstream.New(s.Conn(tb, opts...))
	if err != nil {
		tb.Fatalf("consumertest: cannot use JetStream: %v", err)
	}
	return js
}

// Stream creates a stream of these subjects (of the subject that is its name, if none
// is given), in files and without limits. For another configuration use CreateStream
// of [Server.JetStream].
func (s *Server) Stream(tb testing.TB, name string, subjects ...string) jetstream.Stream {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	cfg := jetstream.StreamConfig{Name: name, Subjects: subjects}
	stream, err := s.JetStream(tb).CreateStream(ctx, cfg)
	if err != nil {
		tb.Fatalf("consumertest: cannot create stream %q of %q: %v", name, subjects, err)
	}
	return stream
}

// InProcessConn makes nats.InProcessServer(s) an option for nats.Connect that leads to
// the server of the moment, across restarts.
func (s *Server) InProcessConn() (net.Conn, error) {
	ns := s.current()
	if ns == nil {
		return nil, errStopped
	}
	return ns.InProcessConn()
}

// awaitLoss returns a function that waits until each client that is connected now has
// lost this connection. Without it, a message published right after would be written to
// a connection that is dead, and lost.
func (s *Server) awaitLoss(tb testing.TB) (wait func()) {
	tb.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = slices.DeleteFunc(s.clients, (*nats.Conn).IsClosed)
	before := make(map[*nats.Conn]uint64)
	for _, nc := range s.clients {
		if nc.IsConnected() {
			before[nc] = nc.Stats().Reconnects
		}
	}
	return func() {
		tb.Helper()
		deadline := time.Now().Add(patience)
		for nc, reconnects := range before {
			for nc.IsConnected() && nc.Stats().Reconnects == reconnects {
				if time.Now().After(deadline) {
					tb.Fatalf("consumertest: connection %q did not see that the server closed it", nc.Opts.Name)
				}
				time.Sleep(time.Millisecond)
			}
		}
	}
}

func (s *Server) current() *server.Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.running
}
