// Command endtoend tells the story of package story in a minute, as lines of text:
//
//	go run ./examples/endtoend
//
// It needs nothing: the NATS server is inside this process. "worker demo" is the same with
// a live view on the terminal.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/spillwaymq/spillway/examples/endtoend/story"
)

func main() {
	scene := flag.Duration("scene", story.DefaultScene, "how long each of the three scenes takes")
	listen := flag.String("listen", "127.0.0.1:8080", "where the page, the metrics and the health are")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Stdout, *scene, *listen)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "endtoend:", err)
		os.Exit(1)
	}
}

// run tells the story until it is over or ctx ends.
func run(ctx context.Context, out io.Writer, scene time.Duration, listen string) (err error) {
	dir, err := os.MkdirTemp("", "endtoend-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	page, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	js, stop, err := embed(dir)
	if err != nil {
		return errors.Join(err, page.Close())
	}
	defer stop()
	summary, err := story.Run(ctx, story.Config{JetStream: js, Page: page, Scene: scene, Show: story.Lines(out)})
	if err != nil {
		return err
	}
	if err := summary.WriteText(out); err != nil {
		return err
	}
	if lost := summary.Account.Lost; lost > 0 {
		return fmt.Errorf("%d jobs were lost", lost)
	}
	return nil
}

// embed starts a NATS server in this process, with its streams in dir.
func embed(dir string) (jetstream.JetStream, func(), error) {
	const room = 1 << 50 // of streams: by default what the disk has left, which may be less than their bounds
	s, err := server.NewServer(&server.Options{
		JetStream: true, StoreDir: dir, JetStreamMaxStore: room, DontListen: true, NoSigs: true,
	})
	if err != nil {
		return nil, nil, err
	}
	s.Start()
	stop := func() {
		s.Shutdown()
		s.WaitForShutdown()
	}
	if !s.ReadyForConnections(30 * time.Second) {
		stop()
		return nil, nil, errors.New("the NATS server did not start")
	}
	conn, err := nats.Connect("", nats.InProcessServer(s))
	if err != nil {
		stop()
		return nil, nil, err
	}
	js, err := jetstream.New(conn)
	return js, func() {
		conn.Close()
		stop()
	}, err
}
