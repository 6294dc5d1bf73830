// Command downstream is something for handlers to call that can be overloaded, slowed and
// broken at will. It is what docker-compose.yml has behind its workers:
//
//	go run ./examples/downstream --listen 127.0.0.1:9000 --workers 12 --service 50ms
//	curl -X POST 'http://127.0.0.1:9000/fault?kind=slow&factor=10&for=30s'
//	curl http://127.0.0.1:9000/stats
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spillwaymq/spillway/internal/fakedownstream"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "downstream:", err)
		stop()
		os.Exit(1)
	}
}

// run serves as args say until ctx ends.
func run(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("downstream", flag.ContinueOnError)
	listen := flags.String("listen", "127.0.0.1:9000", "the address to listen on")
	var cfg fakedownstream.Config
	flags.IntVar(&cfg.Workers, "workers", 12, "calls that are served at once")
	flags.DurationVar(&cfg.Service, "service", 50*time.Millisecond, "how long one takes on average")
	flags.IntVar(&cfg.Queue, "queue", 1024, "calls that wait at most; further ones get 429")
	flags.Float64Var(&cfg.Thrash, "thrash", 0, "how much slower it is for each --workers calls that wait")
	if err := flags.Parse(args); errors.Is(err, flag.ErrHelp) {
		return nil
	} else if err != nil {
		return err
	}
	d, err := fakedownstream.New(cfg)
	if err != nil {
		return err
	}
	server, err := fakedownstream.Start(*listen, d)
	if err != nil {
		return err
	}
	defer server.Close()
	fmt.Fprintf(out, "%s serves %.0f calls a second\n", server.URL(), d.Capacity())
	<-ctx.Done()
	return nil
}
