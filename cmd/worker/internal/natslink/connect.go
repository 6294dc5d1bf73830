package natslink

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	dialTimeout     = 5 * time.Second
	reconnectWait   = time.Second
	reconnectJitter = time.Second
	pingInterval    = 20 * time.Second
)

// Options says where to connect and how.
type Options struct {
	URL         string // with commas, if there are several
	Shown       string // the URL without secrets, for errors and logs
	Name        string
	Credentials string // a .creds file
	CA          string // PEM files
	Cert, Key   string
	Domain      string // of JetStream
	Embedded    *Embedded
	Logger      *slog.Logger
}

// UnreachableError says that there was no server to connect to, or that it refused.
type UnreachableError struct {
	URL string
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("cannot connect to NATS at %s: %v", e.URL, e.Err)
}

// Unwrap returns why.
func (e *UnreachableError) Unwrap() error { return e.Err }

// ErrFile is in the chain of an error about a file that could not be used.
var ErrFile = errors.New("file cannot be used")

// Link is a connection with JetStream on it.
type Link struct {
	Conn      *nats.Conn
	JetStream jetstream.JetStream
}

// Connect connects. A connection that is lost later comes back by itself, however
// long that takes.
func Connect(o Options) (*Link, error) {
	options, err := natsOptions(o)
	if err != nil {
		return nil, err
	}
	conn, err := nats.Connect(o.URL, options...)
	if err != nil {
		return nil, &UnreachableError{URL: o.Shown, Err: err}
	}
	o.Logger.Info("connected to NATS", "url", o.Shown, "server", conn.ConnectedServerName(), "version", conn.ConnectedServerVersion())
	js, err := jetStream(conn, o.Domain)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("cannot use JetStream: %w", err)
	}
	return &Link{Conn: conn, JetStream: js}, nil
}

// Close sends what was not sent yet and closes the connection.
func (l *Link) Close() {
	// An error means that the connection is gone, and so does the Close that follows.
	_ = l.Conn.FlushTimeout(time.Second)
	l.Conn.Close()
}

func jetStream(conn *nats.Conn, domain string) (jetstream.JetStream, error) {
	if domain != "" {
		return jetstream.NewWithDomain(conn, domain)
	}
	return jetstream.New(conn)
}

func natsOptions(o Options) ([]nats.Option, error) {
	options := []nats.Option{
		nats.Name(o.Name),
		nats.Timeout(dialTimeout),
		nats.MaxReconnects(-1),
		nats.IgnoreAuthErrorAbort(), // credentials that are replaced while we run
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.PingInterval(pingInterval),
	}
	if o.Embedded != nil {
		options = append(options, nats.InProcessServer(o.Embedded.server))
	}
	files, err := fileOptions(o)
	if err != nil {
		return nil, err
	}
	return append(append(options, files...), events(o.Logger)...), nil
}

// events logs what happens to the connection.
func events(log *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil { // nil: closed by us
				log.Warn("connection to NATS lost", "error", err)
			}
		}),
		nats.ReconnectHandler(func(c *nats.Conn) {
			log.Info("connected to NATS again", "url", c.ConnectedUrlRedacted())
		}),
		nats.ErrorHandler(func(_ *nats.Conn, s *nats.Subscription, err error) {
			subject := ""
			if s != nil {
				subject = s.Subject
			}
			log.Warn("NATS reports an error", "error", err, "subject", subject)
		}),
	}
}
