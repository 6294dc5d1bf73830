package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience is how long anything but the work itself may take.
const patience = 30 * time.Second

// broker is an embedded nats-server with its streams in a temporary directory.
type broker struct {
	server *server.Server
	dir    string
	tcp    bool // clients come over loopback rather than by memory
}

// startBroker starts a server that listens on a free port of the loopback interface.
func startBroker(tcp bool) (*broker, error) {
	dir, err := os.MkdirTemp("", "spillway-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	b := &broker{dir: dir, tcp: tcp}
	b.server, err = server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: dir,
		NoSigs: true, NoLog: true,
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("bench: the server refuses its options: %w", err), os.RemoveAll(dir))
	}
	b.server.Start()
	if !b.server.ReadyForConnections(patience) || !b.server.JetStreamEnabled() {
		return nil, errors.Join(fmt.Errorf("bench: the server was not ready after %v", patience), b.stop())
	}
	return b, nil
}

// stop ends the server and removes its streams.
func (b *broker) stop() error {
	b.server.Shutdown()
	b.server.WaitForShutdown()
	return os.RemoveAll(b.dir)
}

func (b *broker) url() string { return b.server.ClientURL() }

// connect returns a new connection, the same kind for every contestant.
func (b *broker) connect() (jetstream.JetStream, error) {
	opts := []nats.Option{nats.Timeout(patience), nats.MaxReconnects(-1)}
	if !b.tcp {
		opts = append(opts, nats.InProcessServer(b.server))
	}
	return dial(b.url(), opts...)
}

func dial(url string, opts ...nats.Option) (jetstream.JetStream, error) {
	nc, err := nats.Connect(url, opts...)
	if err != nil {
		return nil, fmt.Errorf("bench: connect: %w", err)
	}
	js, err := jetstream.New(nc)
	if err != nil {
		nc.Close()
		return nil, fmt.Errorf("bench: %w", err)
	}
	return js, nil
}

// dropStream removes a stream if there is one.
func dropStream(ctx context.Context, js jetstream.JetStream, stream string) error {
	err := js.DeleteStream(ctx, stream)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("bench: delete stream %s: %w", stream, err)
	}
	return nil
}
