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
	tcp    bool      // clients come over loopback rather than by memory
	away   *distance // that contestants have to the server; nil: none
}

// startBroker starts a server that listens on a free port of the loopback interface.
func startBroker(tcp bool, roundTrip time.Duration) (*broker, error) {
	dir, err := os.MkdirTemp("", "spillway-bench-")
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	b := &broker{dir: dir, tcp: tcp || roundTrip > 0}
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
	if roundTrip > 0 {
		if b.away, err = newDistance(b.server.Addr().String(), roundTrip); err != nil {
			return nil, errors.Join(fmt.Errorf("bench: %w", err), b.stop())
		}
	}
	return b, nil
}

// stop ends the server and removes its streams.
func (b *broker) stop() error {
	var err error
	if b.away != nil {
		err = b.away.stop()
	}
	b.server.Shutdown()
	b.server.WaitForShutdown()
	return errors.Join(err, os.RemoveAll(b.dir))
}

// url is where contestants find the server.
func (b *broker) url() string {
	if b.away != nil {
		return b.away.url()
	}
	return b.server.ClientURL()
}

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

// connectNear returns a connection without the distance, to prepare and to ask.
func (b *broker) connectNear() (jetstream.JetStream, error) {
	return dial(b.server.ClientURL(), nats.Timeout(patience), nats.InProcessServer(b.server))
}

// dropStream removes a stream if there is one.
func dropStream(ctx context.Context, js jetstream.JetStream, stream string) error {
	err := js.DeleteStream(ctx, stream)
	if err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("bench: delete stream %s: %w", stream, err)
	}
	return nil
}
