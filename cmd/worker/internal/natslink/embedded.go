package natslink

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	loopback     = "127.0.0.1"
	startTimeout = 30 * time.Second
	startStep    = 100 * time.Millisecond
	// roomy is the space that JetStream believes to have. By default that is what the
	// disk has left, and a stream with a larger bound, like our overflow, is refused.
	roomy = 1 << 50
)

// Embedded is a NATS server inside this process.
type Embedded struct {
	server *server.Server
}

// StartEmbedded starts a server that keeps its streams in dir and listens on the
// port of addr, a NATS URL, of the loopback interface. Port 0 is any free one.
func StartEmbedded(dir, addr string, log *slog.Logger) (*Embedded, error) {
	port, err := portOf(addr)
	if err != nil {
		return nil, err
	}
	if err := free(port); err != nil {
		return nil, err
	}
	if port == 0 {
		port = server.RANDOM_PORT
	}
	s, err := server.NewServer(&server.Options{
		ServerName: "spillway-embedded",
		Host:       loopback, Port: port,
		JetStream: true, StoreDir: dir,
		JetStreamMaxStore: roomy,
		NoSigs:            true,
	})
	if err != nil {
		return nil, fmt.Errorf("the embedded NATS server refuses its options: %w", err)
	}
	lines := &serverLog{log: log}
	s.SetLoggerV2(lines, false, false, false)
	s.Start()
	if !ready(s, lines) {
		s.Shutdown()
		return nil, fmt.Errorf("the embedded NATS server in %s did not start: %s", dir, lines.complaint())
	}
	log.Info("embedded NATS server is ready", "url", s.ClientURL(), "dir", dir)
	return &Embedded{server: s}, nil
}

// ready waits until s has started, or has said that it cannot.
func ready(s *server.Server, lines *serverLog) bool {
	for end := time.Now().Add(startTimeout); !lines.failed() && time.Now().Before(end); {
		if s.ReadyForConnections(startStep) {
			return s.JetStreamEnabled()
		}
	}
	return false
}

// URL is where other processes reach the server.
func (e *Embedded) URL() string { return e.server.ClientURL() }

// Close stops the server and returns when its files are closed.
func (e *Embedded) Close() {
	e.server.Shutdown()
	e.server.WaitForShutdown()
}

// portOf returns the port of the first of the addresses.
func portOf(addr string) (int, error) {
	addr, _, _ = strings.Cut(addr, ",")
	if !strings.Contains(addr, "://") {
		addr = "nats://" + addr
	}
	u, err := url.Parse(addr)
	if err != nil {
		return 0, errors.New("nats.url is no URL, and the embedded server listens on its port")
	}
	if u.Port() == "" {
		return server.DEFAULT_PORT, nil
	}
	return strconv.Atoi(u.Port())
}

// free returns why the port cannot be listened on, for which the server has no error.
func free(port int) error {
	l, err := net.Listen("tcp", net.JoinHostPort(loopback, strconv.Itoa(port)))
	if err != nil {
		return fmt.Errorf("the embedded NATS server cannot listen (another port can be given with nats.url): %w", err)
	}
	return l.Close()
}
